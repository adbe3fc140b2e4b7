"""A cursor over readings of archive and MongoDB, which looks like MongoDB's.

What belongs here: sorting, skipping and showing what both give, piece by piece. What does not: which collections have
one (`greenpower.archive.collection`), where a span is cut (`greenpower.archive.read`).

Within an archived month, MongoDB's readings and the archive's are walked in one order; two of one key are one reading
(`greenpower.archive.join`). Everywhere else MongoDB answers by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pymongo import ASCENDING
from pymongo.collection import Collection

from greenpower.archive.filter import asked_span, is_of_span, matches, paths_of
from greenpower.archive.projection import Shown
from greenpower.archive.read import ArchiveView
from greenpower.archive.walk import Walk, WalkEntry
from greenpower.datatype import DataType
from greenpower.mongo.client import Document

FIRST_INSTANT, LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
# Archived readings that are made into documents at once: few at first, since most questions want few.
FIRST_DOCUMENTS, MAX_DOCUMENTS_AT_ONCE = 64, 4_096
# The orders that are known. Where MongoDB leaves open how equal times are ordered, it is by device.
ORDERS = frozenset({(), ("timestamp",), ("timestamp", "device_id"), ("device_id", "timestamp")})
KEY_PATHS = frozenset({"device_id", "timestamp"})

Sort = Sequence[tuple[str, int]]
Piece = tuple[datetime, datetime]


class ArchiveCursor:
    """The readings that match a filter. Lazy: what is not asked for is not read. For one reader.

    Raises NotImplementedError for what it does not know, and as `ArchiveView` does.
    """

    def __init__(
        self,
        view: ArchiveView,
        datatype: DataType,
        held: Collection[Document],
        where: Mapping[str, Any],
        projection: Mapping[str, Any] | Sequence[str] | None = None,
        *,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> None:
        self._view = view
        self._datatype = datatype
        self._held = held
        self._where = where
        self._projection = projection
        self._shown = Shown(projection)
        self._paths = paths_of(where)
        self._span = asked_span(where)
        self._sort: tuple[tuple[str, int], ...] = ()
        self._skip, self._left = skip, abs(limit) or None
        self._rows: Iterator[Document] | None = None
        self.sort(list(sort or ()))

    def sort(self, key_or_list: str | Sort, direction: int = ASCENDING) -> ArchiveCursor:
        """As of pymongo's cursor."""
        order = [(key_or_list, direction)] if isinstance(key_or_list, str) else list(key_or_list)
        if tuple(name for name, _ in order) not in ORDERS or len({way for _, way in order}) > 1:
            raise NotImplementedError(f"archived readings are not sorted by {order}")
        self._sort = tuple(order)
        return self

    def skip(self, skip: int) -> ArchiveCursor:
        """As of pymongo's cursor."""
        self._skip = skip
        return self

    def limit(self, limit: int) -> ArchiveCursor:
        """As of pymongo's cursor."""
        self._left = abs(limit) or None
        return self

    def hint(self, index: object) -> ArchiveCursor:
        """As of pymongo's cursor."""
        return self

    def to_list(self, length: int | None = None) -> list[Document]:
        """As of pymongo's cursor."""
        return list(self) if length is None else list(islice(self, length))

    def close(self) -> None:
        """As of pymongo's cursor: it has no more readings then."""
        self._rows = iter(())

    def __enter__(self) -> ArchiveCursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> ArchiveCursor:
        return self

    def __next__(self) -> Document:
        if self._rows is None:
            self._rows = self._by_device() if self._sort[:1] and self._sort[0][0] == "device_id" else self._by_time()
        return next(self._rows)

    next = __next__

    def count(self) -> int:
        """How many match, skipped and limited."""
        found = 0
        for piece in self._pieces():
            if self._left is not None and self._left <= 0:
                break
            if self._view.covers(self._datatype.name, *piece):
                found += sum(1 for _ in self._archived(piece, documents=False))
                continue
            options: dict[str, Any] = {} if self._left is None else {"limit": self._skip + self._left}
            there = self._held.count_documents(self._within(piece), **options)
            here = max(0, there - self._skip)
            self._skip = max(0, self._skip - there)
            found += here
            self._left = None if self._left is None else self._left - here
        return found

    @property
    def _newest_first(self) -> bool:
        return bool(self._sort) and self._sort[0][1] < 0

    def _pieces(self) -> Iterator[Piece]:
        begin, end = self._span.begin or FIRST_INSTANT, self._span.end or LAST_INSTANT
        if begin < end:
            yield from self._view.pieces(self._datatype.name, begin, end, newest_first=self._newest_first)

    def _within(self, piece: Piece) -> Document:
        begin, end = piece
        return {"$and": [self._where, {"timestamp": {"$gte": begin, "$lt": end}}]}

    def _by_device(self) -> Iterator[Document]:
        """Time is what pieces are cut by, so all of them are read first."""
        skip, left, self._skip, self._left = self._skip, self._left, 0, None
        rows: list[tuple[tuple[bytes, datetime], Document]] = []
        for piece in self._pieces():
            if self._view.covers(self._datatype.name, *piece):
                found = self._archived(piece)
            else:
                found = iter(self._held.find(self._within(piece)))
            rows += (((row["device_id"].encode(), row["timestamp"]), self._shown.of(row)) for row in found)
        rows.sort(key=lambda row: row[0], reverse=self._newest_first)
        yield from (row for _, row in rows[skip : None if left is None else skip + left])

    def _by_time(self) -> Iterator[Document]:
        for piece in self._pieces():
            if self._left is not None and self._left <= 0:
                return
            if self._view.covers(self._datatype.name, *piece):
                yield from (self._shown.of(document) for document in self._archived(piece))
            else:
                yield from self._plain(piece)

    def _plain(self, piece: Piece) -> Iterator[Document]:
        """The readings of a piece that only MongoDB has."""
        where, skip = self._within(piece), self._skip
        if skip:
            there = self._held.count_documents(where, limit=skip)
            self._skip -= there
            if there < skip:
                return
        cursor = self._held.find(where, self._projection).skip(skip).limit(self._left or 0)
        for document in cursor.sort(list(self._sort)) if self._sort else cursor:
            yield document
            if self._left is not None:
                self._left -= 1

    def _archived(self, piece: Piece, *, documents: bool = True) -> Iterator[Document]:
        """The readings of a piece that the archive may have. documents: False, if only their number matters."""
        fields = self._shown.payload_fields(self._paths)
        by_key = self._paths <= KEY_PATHS
        for begin, end in self._view.parts(self._datatype.name, self._span.devices, *piece, self._newest_first):
            walk = Walk(
                self._view,
                self._datatype,
                self._held,
                self._span.devices,
                (begin, end),
                fields=fields,
                newest_first=self._newest_first,
                keys_only=by_key and not documents,
            )
            entries: Iterator[WalkEntry] = walk.entries()
            if not is_of_span(self._where) and by_key:
                entries = (entry for entry in entries if matches(self._where, entry.key))
            if by_key:
                entries = self._counted(entries)
            if by_key and not documents:
                for entry in entries:
                    yield entry.key
                continue
            size = FIRST_DOCUMENTS
            while batch := list(islice(entries, size)):
                found: Iterator[Document] = iter(walk.documents(batch))
                if not by_key:
                    found = self._counted(document for document in found if matches(self._where, document))
                yield from found
                size = min(2 * size, MAX_DOCUMENTS_AT_ONCE)
                if self._left is not None and self._left <= 0:
                    return

    def _counted(self, items: Iterator[Any]) -> Iterator[Any]:
        """Some items, without those that are skipped, and not more than are left."""
        for item in items:
            if self._skip:
                self._skip -= 1
                continue
            if self._left is not None:
                if self._left <= 0:
                    return
                self._left -= 1
            yield item
