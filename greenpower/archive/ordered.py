"""Archived readings of a span in order of time and device, without reading all of them.

What belongs here: an index of what files hold (time, device, place), and the readings at some of its entries. What does
not: which files there are (`greenpower.archive.read`), what MongoDB holds of the span (`greenpower.archive.cursor`).

Files are sorted by device and time. So the two columns of the keys are read first, sorted, and whole rows only where
they are wanted.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from greenpower.archive.columns import EPOCH, MILLISECOND, Document, to_documents
from greenpower.archive.files import FileStore, RowGroup

# Row groups that are kept decoded: of two devices with a reading a minute a month has six.
MAX_DECODED_GROUPS = 8
KEYS_PER_CHUNK = 8_192

ArchivedKey = tuple[datetime, str]


class OrderedReadings:
    """What row groups hold of some devices (None: all) in [begin, end). fields: whose values are read; None for all.

    Raises ArchiveFileError.
    """

    def __init__(
        self,
        store: FileStore,
        groups: Sequence[RowGroup],
        *,
        devices: Sequence[str] | None,
        begin: datetime,
        end: datetime,
        fields: Sequence[str] | None,
        newest_first: bool,
    ) -> None:
        self._store = store
        self._fields = fields
        self._groups = groups
        self._decoded: OrderedDict[int, pa.Table] = OrderedDict()
        parts = []
        for place, group in enumerate(groups):
            keys = store.keys(group, devices=devices, begin=begin, end=end)
            if len(keys):
                parts.append(keys.append_column("place", pa.array([place] * len(keys), pa.int32())))
        direction = "descending" if newest_first else "ascending"
        self._index = (
            pa.concat_tables(parts).sort_by([("timestamp", direction), ("device_id", direction)]) if parts else None
        )

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    def keys(self, start: int = 0) -> Iterator[ArchivedKey]:
        """(timestamp, device) of each entry, in order. start: the first one."""
        for first in range(start, len(self), KEYS_PER_CHUNK):
            assert self._index is not None
            part = self._index.slice(first, KEYS_PER_CHUNK)
            times, devices = part.column("timestamp").to_pylist(), part.column("device_id").to_pylist()
            for at, device in zip(times, devices, strict=True):
                yield EPOCH + at * MILLISECOND, device

    def documents(self, entries: Sequence[int]) -> list[Document]:
        """The readings at some entries, in the order of these."""
        if not entries or self._index is None:
            return []
        chosen = self._index.take(pa.array(entries, pa.int64()))
        places, rows = chosen.column("place").to_pylist(), chosen.column("row").to_pylist()
        wanted: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, (place, row) in enumerate(zip(places, rows, strict=True)):
            wanted[place].append((row, number))
        found: list[Document] = [{}] * len(entries)
        for place, several in wanted.items():
            table = self._table(place).take(pa.array([row for row, _ in several], pa.int64()))
            for (_, number), document in zip(several, to_documents(table, self._fields), strict=True):
                found[number] = document
        return found

    def _table(self, place: int) -> pa.Table:
        table = self._decoded.pop(place, None)
        if table is None:
            table = self._store.rows(self._groups[place], self._fields)
            while len(self._decoded) >= MAX_DECODED_GROUPS:
                self._decoded.popitem(last=False)
        self._decoded[place] = table
        return table
