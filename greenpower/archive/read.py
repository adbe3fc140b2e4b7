"""Readings of archive and MongoDB as one.

What belongs here: which files a question needs, and merging them with what MongoDB holds. What does not: moving
readings (`greenpower.archive.run`).

A cached manifest is at most MANIFEST_SECONDS old, and readings stay in MongoDB for ten minutes after their file is in
the manifest (`greenpower.archive.clear`). So what is missing in one place is in the other. A question that takes longer
looks the manifest up once more at its end.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pymongo.database import Database

from greenpower.archive.errors import ArchiveChangedError
from greenpower.archive.months import end_of_month, key_order
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.archive.document import ArchivedFileDocument, ArchiveMonthDocument
from greenpower.mongo.archive.manifest import read_generations, read_some
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST

if TYPE_CHECKING:
    from greenpower.archive.ordered import OrderedReadings

# How old the view of the manifest may be.
MANIFEST_SECONDS = 60.0
# A month read in this time misses nothing, even from a manifest of that age (`greenpower.archive.clear`).
SAFE_READ_SECONDS = 500.0
# Readings whose keys are put in order of time at once: some 100 MB.
MAX_ORDERED_ROWS = 2_000_000
MILLISECOND = timedelta(milliseconds=1)


class ArchiveView:
    """What is archived, and the readings of it. One per process; safe for several threads.

    Raises PyMongoError, ArchiveFileError where a file cannot be read, ArchiveChangedError.
    """

    def __init__(self, db: Database[Document], settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._lock = threading.Lock()
        self._months: dict[str, ArchiveMonthDocument] = {}
        self._looked_at = float("-inf")
        self._devices: dict[str, set[str]] = {}  # by path; a file never changes

    def refresh(self, *, now: bool = False) -> None:
        """Look the manifest up, if it was not done within a minute. now: in any case."""
        with self._lock:
            if not now and time.monotonic() - self._looked_at < MANIFEST_SECONDS:
                return
            looked_at = time.monotonic()
            generations = read_generations(self._db[ARCHIVE_MANIFEST])
            known = {name: month for name, month in self._months.items() if name in generations}
            changed = [name for name, g in generations.items() if name not in known or known[name]["generation"] != g]
            if changed:
                known |= {month["_id"]: month for month in read_some(self._db[ARCHIVE_MANIFEST], changed)}
            self._months, self._looked_at = known, looked_at

    def months(self, type_name: str) -> list[ArchiveMonthDocument]:
        """The months of a type that have files, oldest first."""
        self.refresh()
        found = (month for month in self._months.values() if month["type"] == type_name and month["files"])
        return sorted(found, key=lambda month: month["month"])

    @property
    def expires_in_mongo(self) -> bool:
        """Whether MongoDB loses the newest reading of a device that is silent for long."""
        return self._settings.mongo_raw_ttl_seconds > 0

    def covers(self, type_name: str, begin: datetime, end: datetime) -> bool:
        """Whether readings of the archive may lie in [begin, end)."""
        return bool(self._overlapping(type_name, begin, end))

    def horizon(self, type_name: str) -> datetime | None:
        """The end of the newest archived month: what is younger is in MongoDB only. None: nothing is archived."""
        months = self.months(type_name)
        return end_of_month(months[-1]["month"]) if months else None

    def oldest(self, type_name: str) -> datetime | None:
        """The begin of the oldest archived month. None: nothing is archived."""
        months = self.months(type_name)
        return months[0]["month"] if months else None

    def find(
        self,
        datatype: DataType,
        devices: Sequence[str] | None,
        begin: datetime,
        end: datetime,
        *,
        fields: Sequence[str] | None = None,
        newest_first: bool = False,
    ) -> Iterator[Document]:
        """The readings in [begin, end), of archive and MongoDB, each once, as MongoDB held it.

        devices: None for all. fields: payloads have only these. Month by month where something is archived; within a
        month by (device_id, timestamp), or exactly the other way round.
        """
        for first, last in self.pieces(datatype.name, begin, end, newest_first=newest_first):
            began, known = time.monotonic(), self.generations(datatype.name, first, last)
            held = self._held(datatype, devices, first, last, fields, newest_first)
            if not self.covers(datatype.name, first, last):
                yield from held
            else:
                from greenpower.archive.join import join, joined

                archived = self._archived(datatype.name, devices, first, last, fields, newest_first)
                yield from joined(join(archived, held, newest_first=newest_first))
            if time.monotonic() - began > SAFE_READ_SECONDS:
                self.refresh(now=True)
                if self.generations(datatype.name, first, last) != known:
                    raise ArchiveChangedError("readings were archived while they were read: ask again")

    def contains(
        self, datatype: DataType, keys: Iterable[tuple[str, datetime]]
    ) -> dict[tuple[str, datetime], Document]:
        """Those of the readings (device, timestamp) that the archive has."""
        by_month: defaultdict[datetime, list[tuple[str, datetime]]] = defaultdict(list)
        months = {month["month"] for month in self.months(datatype.name)}
        if not months:
            return {}
        for device, at in keys:
            first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            if first in months:
                by_month[first].append((device, at))
        found = {}
        for wanted in by_month.values():
            asked = set(wanted)
            devices = sorted({device for device, _ in wanted})
            begin, end = min(at for _, at in wanted), max(at for _, at in wanted) + MILLISECOND
            for document in self._archived(datatype.name, devices, begin, end, None, False):
                if (key := (document["device_id"], document["timestamp"])) in asked:
                    found[key] = document
        return found

    def ordered(
        self,
        type_name: str,
        devices: Sequence[str] | None,
        begin: datetime,
        end: datetime,
        *,
        fields: Sequence[str] | None,
        newest_first: bool,
    ) -> OrderedReadings | None:
        """What files hold of a span, in order of time and device; None where that is nothing."""
        chosen = self._files(type_name, devices, begin, end)
        if not chosen:
            return None
        from greenpower.archive.files import FileStore
        from greenpower.archive.ordered import OrderedReadings

        store = FileStore.of(self._settings)
        groups = [
            group for file in chosen for group in store.row_groups(file["path"], devices=devices, begin=begin, end=end)
        ]
        return OrderedReadings(
            store, groups, devices=devices, begin=begin, end=end, fields=fields, newest_first=newest_first
        )

    def updated(
        self, type_name: str, since: tuple[datetime, Any] | None, until: datetime, limit: int
    ) -> list[Document]:
        """The first readings of files behind (updated_at, _id), in that order."""
        files = [file for month in self.months(type_name) for file in month["files"]]
        # What was written later than a file is not in it.
        paths = [file["path"] for file in files if since is None or file["written_at"] >= since[0]]
        if not paths:
            return []
        from greenpower.archive.files import FileStore
        from greenpower.archive.updated import first_updated

        return first_updated(FileStore.of(self._settings), paths, since, until, limit)

    def pieces(
        self, type_name: str, begin: datetime, end: datetime, *, newest_first: bool = False
    ) -> list[tuple[datetime, datetime]]:
        """[begin, end) cut at the edges of archived months."""
        months = [month["month"] for month in self._overlapping(type_name, begin, end)]
        edges = {edge for month in months for edge in (month, end_of_month(month)) if begin < edge < end}
        pieces = list(pairwise(sorted({begin, end, *edges})))
        return pieces[::-1] if newest_first else pieces

    def parts(
        self, type_name: str, devices: Sequence[str] | None, begin: datetime, end: datetime, newest_first: bool
    ) -> list[tuple[datetime, datetime]]:
        """A span within one month cut so that what may be in order of time at once fits into memory."""
        rows = sum(file["rows"] for file in self._files(type_name, devices, begin, end))
        count = max(1, -(-rows // MAX_ORDERED_ROWS))
        length = (end - begin) // count
        cuts = [begin, *((begin + number * length).replace(microsecond=0) for number in range(1, count)), end]
        parts = list(pairwise(cuts))
        return parts[::-1] if newest_first else parts

    def devices(self, type_name: str, begin: datetime, end: datetime) -> set[str]:
        """The devices of which files hold readings in months that a span touches."""
        found: set[str] = set()
        for file in self._files(type_name, None, begin, end):
            if file["path"] not in self._devices:
                from greenpower.archive.files import FileStore

                self._devices[file["path"]] = FileStore.of(self._settings).devices(file["path"])
            found |= self._devices[file["path"]]
        return found

    def _files(
        self, type_name: str, devices: Sequence[str] | None, begin: datetime, end: datetime
    ) -> list[ArchivedFileDocument]:
        files = [file for month in self._overlapping(type_name, begin, end) for file in month["files"]]
        return [file for file in files if _may_hold(file, devices)]

    def _overlapping(self, type_name: str, begin: datetime, end: datetime) -> list[ArchiveMonthDocument]:
        return [m for m in self.months(type_name) if m["month"] < end and end_of_month(m["month"]) > begin]

    def generations(self, type_name: str, begin: datetime, end: datetime) -> list[tuple[str, int]]:
        """What is known of the months that a span touches: another answer means that they have changed."""
        return [(month["_id"], month["generation"]) for month in self._overlapping(type_name, begin, end)]

    def _held(
        self,
        datatype: DataType,
        devices: Sequence[str] | None,
        begin: datetime,
        end: datetime,
        fields: Sequence[str] | None,
        newest_first: bool,
    ) -> Iterator[Document]:
        """What MongoDB holds, in order."""
        query: Document = {"timestamp": {"$gte": begin, "$lt": end}}
        if devices is not None:
            query["device_id"] = {"$in": list(devices)}
        direction = -1 if newest_first else 1
        cursor = self._db[datatype.collection].find(query).sort([("device_id", direction), ("timestamp", direction)])
        wanted = None if fields is None else set(fields)
        for document in cursor:
            if wanted is not None:
                document["payload"] = {name: value for name, value in document["payload"].items() if name in wanted}
            yield document

    def _archived(
        self,
        type_name: str,
        devices: Sequence[str] | None,
        begin: datetime,
        end: datetime,
        fields: Sequence[str] | None,
        newest_first: bool,
    ) -> Iterator[Document]:
        """What the files hold, in order, of a span within one month."""
        chosen = self._files(type_name, devices, begin, end)
        if not chosen:
            return
        from greenpower.archive.columns import to_documents
        from greenpower.archive.files import FileStore

        store = FileStore.of(self._settings)
        for file in reversed(chosen) if newest_first else chosen:
            for table in store.groups(
                file["path"], devices=devices, begin=begin, end=end, fields=fields, newest_first=newest_first
            ):
                yield from to_documents(table, fields)


def _may_hold(file: ArchivedFileDocument, devices: Sequence[str] | None) -> bool:
    """Whether a file can have readings of one of the devices."""
    if devices is None:
        return True
    first, last = key_order(file["first"])[0], key_order(file["last"])[0]
    return any(first <= device.encode() <= last for device in devices)
