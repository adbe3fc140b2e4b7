"""Holding months back from archive runs while their readings are changed in MongoDB.

What belongs here: replay's claim on months. What does not: the lease itself (`greenpower.mongo.archive.manifest`).

A replay removes and changes readings where MongoDB holds them. In a month of which something is archived, what it
removes would still be in a file. So such a month has to be restored first, and none is archived meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from pymongo.database import Database

from greenpower.archive.months import begin_of_month, end_of_month, last_month_end
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.archive.manifest import leave_month, read_months, take_month
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST

# A replay that was killed keeps its months from being archived for so long.
HOLD = timedelta(hours=12)


class MonthArchivedError(Exception):
    """Readings of the span are archived. The text is one line, with the command that brings them back."""


@contextmanager
def hold_months(
    db: Database[Document], datatype: DataType, settings: Settings, since: datetime, until: datetime, now: datetime
) -> Iterator[None]:
    """Within it no run archives readings of [since, until). Raises MonthArchivedError where one has done so before,
    ManifestTakenError where one is doing so, PyMongoError."""
    manifest, owner, held = db[ARCHIVE_MANIFEST], uuid4().hex, []
    try:
        if settings.archive_after_days:
            oldest = db[datatype.collection].find_one({}, {"timestamp": 1}, sort=[("timestamp", 1)])
            first = since if oldest is None else max(since, oldest["timestamp"])
            month, end = begin_of_month(first), min(until, last_month_end(settings, now))
            while month < end:
                held.append(take_month(manifest, datatype.name, month, owner, HOLD)["_id"])
                month = end_of_month(month)
        for archived in read_months(manifest, datatype.name):
            if archived["files"] and archived["month"] < until and end_of_month(archived["month"]) > since:
                name = f"{archived['month']:%Y-%m}"
                raise MonthArchivedError(
                    f"readings of {name} are archived: first run "
                    f"`greenpower archive restore --type {datatype.name} --month {name}`"
                )
        yield
    finally:
        for name in held:
            leave_month(manifest, name, owner)
