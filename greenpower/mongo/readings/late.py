"""Rows that were written so long after they were stamped that a reader of `changes/` may have passed them.

`changes/` shows a row CHANGES_HORIZON_SECONDS after its `updated_at`. A writer that stamps rows by its own clock and
takes longer than half of that until they are stored (the process or its link was frozen) stamps them again, by the
server's clock within the write, so that nothing can come between. The other half is for clocks that differ. What only
updates is stamped by the server from the start; an insert-many cannot be.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenpower.config import Settings
from greenpower.mongo.client import Document

STAMP_AGAIN: Document = {"$currentDate": {"updated_at": True}}


def patience(settings: Settings) -> timedelta:
    """How long a write may take, counted from its stamp."""
    return timedelta(seconds=settings.changes_horizon_seconds) / 2


def is_late(stamp: datetime, patience: timedelta, now: datetime | None = None) -> bool:
    """Whether a row with this stamp, not stored until now, may have been passed by readers."""
    return (datetime.now(UTC) if now is None else now) - stamp > patience
