"""Readings of a type of which a part is archived, as a collection.

What belongs here: what of a collection readers use, answered from archive and MongoDB. What does not: how
(`greenpower.archive.cursor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn, cast

from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database

from greenpower.archive.cursor import ArchiveCursor
from greenpower.archive.filter import asked_span
from greenpower.archive.months import end_of_month
from greenpower.archive.projection import Shown
from greenpower.archive.read import ArchiveView
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import FederatedReadings, devices_held

FIND_PARAMETERS = ("filter", "projection", "skip", "limit")
# How MongoDB is to answer; nothing that the archive has to know.
MONGO_OPTIONS = frozenset({"batch_size", "cursor_type", "max_time_ms", "hint"})


class ArchivedReadings(FederatedReadings):
    """The readings of a type, of archive and MongoDB. held: those that MongoDB has."""

    def __init__(
        self, database: Database[Document], held: Collection[Document], view: ArchiveView, datatype: DataType
    ) -> None:
        super().__init__(database, held.name)
        self._held = held
        self._view = view
        self._datatype = datatype

    @property
    def held(self) -> Collection[Document]:
        return self._held

    @property
    def young_from(self) -> datetime:
        horizon = self._view.horizon(self._datatype.name)
        assert horizon is not None
        return horizon

    def reaches_archive(self, where: Document) -> bool:
        span = asked_span(where)
        months = self._view.months(self._datatype.name)
        if not months or (span.begin is not None and span.begin >= self.young_from):
            return False
        return span.end is None or span.end > months[0]["month"]

    def count_matching(self, where: Document, limit: int | None = None) -> int:
        return self._cursor(where, limit=limit or 0).count()

    def list_devices(self, where: Document) -> set[str]:
        if not where:
            if not self._view.expires_in_mongo:
                return devices_held(self._held)
            months = self._view.months(self._datatype.name)
            archived = self._view.devices(self._datatype.name, months[0]["month"], self.young_from)
            return archived | devices_held(self._held)
        return {document["device_id"] for document in self._cursor(where, {"_id": 0, "device_id": 1})}

    def find_updated(
        self, since: tuple[datetime, object] | None, until: datetime, limit: int, projection: Document
    ) -> list[Document]:
        from greenpower.archive.updated import find_updated

        shown = Shown(projection)
        found = find_updated(self._view, self._datatype, self._held, since, until, limit)
        return [shown.of(document) for document in found]

    def find(self, *args: Any, **kwargs: Any) -> Cursor[Document]:
        """As of pymongo's collection; of archive and MongoDB where the filter reaches into the archive."""
        asked = {**dict(zip(FIND_PARAMETERS, args, strict=False)), **kwargs}
        where = asked.pop("filter", None) or {}
        if len(args) > len(FIND_PARAMETERS):
            raise NotImplementedError("archived readings are asked with named options")
        if not self.reaches_archive(where):
            return self._held.find(*args, **kwargs)
        known = {name: value for name, value in asked.items() if name not in MONGO_OPTIONS}
        # It has what readers use of a cursor.
        return cast(Cursor[Document], self._cursor(where, **known))

    def count_documents(
        self, filter: Mapping[str, Any], session: Any = None, comment: Any = None, **kwargs: Any
    ) -> int:
        """As of pymongo's collection."""
        where = dict(filter)
        if not self.reaches_archive(where):
            return self._held.count_documents(filter, **kwargs)
        asked = {name: value for name, value in kwargs.items() if name not in MONGO_OPTIONS}
        return self._cursor(where, **asked).count()

    def estimated_document_count(self, comment: Any = None, **kwargs: Any) -> int:
        """As of pymongo's collection."""
        return self._held.estimated_document_count(**kwargs) + self._only_archived()

    def _only_archived(self) -> int:
        """How many readings MongoDB does not have."""
        count = 0
        for month in self._view.months(self._datatype.name):
            end = end_of_month(month["month"])
            within = {"timestamp": {"$gte": month["month"], "$lt": end}}
            held = self._held.count_documents(within, hint=[("timestamp", 1)])
            rows = sum(file["rows"] for file in month["files"])
            if not any(file["cleared"] for file in month["files"]) and held >= rows:
                continue  # nothing of it was deleted yet
            count += self._cursor(within).count() - held
        return count

    def aggregate(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Never: an aggregation would run over MongoDB's part alone."""
        raise NotImplementedError("readings that are partly archived are not aggregated by MongoDB")

    def distinct(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Never, as `aggregate`."""
        raise NotImplementedError("readings that are partly archived are not searched by MongoDB alone")

    def find_raw_batches(self, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection, where the filter does not reach into the archive."""
        if self.reaches_archive(args[0] if args else kwargs.get("filter") or {}):
            raise NotImplementedError("readings that are partly archived have no raw batches")
        return self._held.find_raw_batches(*args, **kwargs)

    def insert_many(self, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection: into MongoDB."""
        return self._held.insert_many(*args, **kwargs)

    def bulk_write(self, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection: in MongoDB."""
        return self._held.bulk_write(*args, **kwargs)

    def with_options(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Never: the result would be a plain collection."""
        raise NotImplementedError("readings that are partly archived have one form")

    def _cursor(self, where: Document, *args: Any, **options: Any) -> ArchiveCursor:
        return ArchiveCursor(self._view, self._datatype, self._held, where, *args, **options)
