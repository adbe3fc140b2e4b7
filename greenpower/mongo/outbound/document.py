"""The shape of an outbound position. What does not belong here: its queries (`positions`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict


class FeedPositionDocument(TypedDict):
    """How far one feed of a target has been taken: behind the row `id` that was written `at`. gap_from: since when rows
    that expired before they were sent may be missing. gap_until: up to when."""

    at: datetime
    id: Any
    gap_from: NotRequired[datetime]
    gap_until: NotRequired[datetime]


class OutboundTestDocument(TypedDict):
    """A test that somebody asked for. said: what became of it; there once it was sent."""

    asked_at: datetime
    done_at: NotRequired[datetime]
    ok: NotRequired[bool]
    said: NotRequired[str]


class OutboundPositionDocument(TypedDict):
    """A target's position in `outbound_positions`. _id: of the target in SQL. feeds: by data type, or by content where
    it has none.

    claim, claimed_until: of the worker that serves it; another may then. failures: in a row; next_try: not before it.
    deliveries, rows, errors, gaps: counted since the target was made.
    """

    _id: int
    feeds: dict[str, FeedPositionDocument]
    failures: int
    deliveries: int
    rows: int
    errors: int
    gaps: int
    claim: NotRequired[str]
    claimed_until: NotRequired[datetime]
    next_try: NotRequired[datetime]
    tried_at: NotRequired[datetime]
    succeeded_at: NotRequired[datetime]
    failed_at: NotRequired[datetime]
    error: NotRequired[str]
    test: NotRequired[OutboundTestDocument]
