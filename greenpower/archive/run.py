"""A run: the months of a type that are old enough, one after the other.

What belongs here: which months, in which order, for how long. What does not: what is done with one
(`greenpower.archive.collect`, `greenpower.archive.clear`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pymongo.database import Database

from greenpower.archive.clear import CLEAR_AFTER, KEEP_REPLACED, clear_month, remove_old_files
from greenpower.archive.collect import MAX_FILE_ROWS, Collector
from greenpower.archive.files import FileStore
from greenpower.archive.held import holds_any
from greenpower.archive.months import begin_of_month, end_of_month, last_month_end
from greenpower.archive.step import Tell, tell_nobody
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.archive.manifest import leave_month, read_months, take_month
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST


@dataclass(slots=True, kw_only=True)
class ArchiveCounts:
    """What a run did: readings written to files, readings deleted from MongoDB, months looked at."""

    archived: int = 0
    deleted: int = 0
    months: int = 0


def run_archive(
    db: Database[Document],
    datatype: DataType,
    settings: Settings,
    *,
    now: datetime | None = None,
    seconds: float = float("inf"),
    clear_after: timedelta = CLEAR_AFTER,
    keep_replaced: timedelta = KEEP_REPLACED,
    max_rows: int = MAX_FILE_ROWS,
    tell: Tell = tell_nobody,
) -> ArchiveCounts:
    """Archive a type's readings of all whole months that ended `ARCHIVE_AFTER_DAYS` ago.

    seconds: no month is begun after that time.

    Raises ManifestTakenError, ArchiveFileError, OSError, PyMongoError; another run goes on where this one stopped.
    """
    counts = ArchiveCounts()
    if not settings.archive_after_days:
        return counts
    owner, store, began = uuid4().hex, FileStore.of(settings), time.monotonic()
    manifest, readings = db[ARCHIVE_MANIFEST], db[datatype.collection]
    for begin in list(_months(db, datatype, last_month_end(settings, now or datetime.now(UTC)))):
        if time.monotonic() - began > seconds:
            break
        month = take_month(manifest, datatype.name, begin, owner)
        try:
            remove_old_files(manifest, store, month, tell, keep_replaced)
            counts.deleted += clear_month(manifest, readings, store, month, owner, tell, clear_after)
            month = take_month(manifest, datatype.name, begin, owner)
            collector = Collector(manifest, readings, store, month, owner, tell, max_rows)
            collector.collect()
            counts.archived += collector.rows
            counts.months += 1
        finally:
            leave_month(manifest, month["_id"], owner)
    return counts


def _months(db: Database[Document], datatype: DataType, end: datetime) -> Iterator[datetime]:
    """The months before `end` in which there is something to do, oldest first."""
    readings = db[datatype.collection]
    known = {
        month["month"]
        for month in read_months(db[ARCHIVE_MANIFEST], datatype.name)
        if month["pending"] or month["retired"] or not all(file["cleared"] for file in month["files"])
    }
    oldest = readings.find_one({}, {"timestamp": 1}, sort=[("timestamp", 1)])
    begins = [*known, *([begin_of_month(oldest["timestamp"])] if oldest is not None else [])]
    month = min(begins, default=end)
    while month < end:
        if month in known or holds_any(readings, month):
            yield month
        month = end_of_month(month)
