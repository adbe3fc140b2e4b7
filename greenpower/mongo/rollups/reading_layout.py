"""Reading readings by columns: where the numbers lie in a reading's BSON, for all readings that look like it.

The readings of a device mostly have the same fields with the same types: then all of their bytes are alike but for the
device, the time and the numbers. That is compared for many at once, and the numbers are taken from where they lie,
which costs a fifth of decoding documents. A reading that looks unlike any seen before is decoded as usual.

What belongs here: the layout, and splitting batches of BSON by it. What does not: which readings are read
(`greenpower.mongo.rollups.source`), the tables (`greenpower.measure.reading_table`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from struct import Struct
from typing import Any

import bson
from bson.codec_options import CodecOptions

from greenpower.measure.reading_table import ReadingTable
from greenpower.mongo.client import Document

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Types of BSON, and how those that are numbers are unpacked.
DOUBLE, STRING, DOCUMENT, DATE, INT32 = 0x01, 0x02, 0x03, 0x09, 0x10
NUMBERS = {DOUBLE: ("d", 8), INT32: ("i", 4)}
LENGTH = Struct("<i")
# Readings whose bytes are compared at once.
READINGS_PER_LOOK = 64
# With more of these, readings do not look alike, and it is quicker to decode all that follow.
MAX_LAYOUTS = 16
MAX_UNLIKE = 1_000

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ReadingLayout:
    """Where in a reading its device, its time and its numbers lie.

    length: of the reading in bytes. values: unpacks them. mask, fixed: the bytes that all such readings have in common,
    for `READINGS_PER_LOOK` of them.
    """

    length: int
    names: tuple[str, ...]
    clock: str | None
    values: Struct
    mask: int
    fixed: int

    @classmethod
    def of(cls, data: bytes) -> ReadingLayout | None:
        """The layout of a reading; None where it has anything but a device, a time, a clock and a payload of numbers,
        in this order or with the clock last."""
        found = _Walk(data)
        if not found.is_plain or len(set(found.names)) != len(found.names):
            return None
        form, mask, here = ["<"], bytearray(b"\xff" * len(data)), 0
        for place, code, width in found.values:
            form += [f"{place - here}x", code]
            mask[place : place + width] = bytes(width)
            here = place + width
        form.append(f"{len(data) - here}x")
        every = int.from_bytes(bytes(mask) * READINGS_PER_LOOK, "little")
        fixed = int.from_bytes(data * READINGS_PER_LOOK, "little") & every
        return cls(len(data), tuple(found.names), found.clock, Struct("".join(form)), every, fixed)

    def fits(self, data: bytes) -> bool:
        """Whether `READINGS_PER_LOOK` readings, or fewer, of this length look like it."""
        mask, fixed = self.mask, self.fixed
        if len(data) < self.length * READINGS_PER_LOOK:
            whole = (1 << 8 * len(data)) - 1
            mask, fixed = mask & whole, fixed & whole
        return int.from_bytes(data, "little") & mask == fixed


class _Walk:
    """A walk through the BSON of a reading. values: place, code and width of each that may differ."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.values: list[tuple[int, str, int]] = []
        self.names: list[str] = []
        self.clock: str | None = None
        self.is_plain = self._top()

    def _top(self) -> bool:
        seen: list[str] = []
        here = 4
        while (kind := self.data[here]) and len(seen) < 4:
            name, here = self._name(here + 1)
            seen.append(name)
            if (name, kind) == ("device_id", STRING):
                size = LENGTH.unpack_from(self.data, here)[0]
                self.values.append((here + 4, f"{size - 1}s", size - 1))
                here += 4 + size
            elif (name, kind) == ("timestamp", DATE):
                self.values.append((here, "q", 8))
                here += 8
            elif (name, kind) == ("clock", STRING):
                size = LENGTH.unpack_from(self.data, here)[0]
                self.clock = self.data[here + 4 : here + 3 + size].decode()
                here += 4 + size
            elif (name, kind) == ("payload", DOCUMENT):
                if not self._payload(here + 4):
                    return False
                here += LENGTH.unpack_from(self.data, here)[0]
            else:
                return False
        places = [name for name in seen if name != "clock"]
        return places == ["device_id", "timestamp", "payload"] and not self.data[here]

    def _payload(self, here: int) -> bool:
        while kind := self.data[here]:
            name, here = self._name(here + 1)
            if kind not in NUMBERS:
                return False
            code, width = NUMBERS[kind]
            self.names.append(name)
            self.values.append((here, code, width))
            here += width
        return bool(self.names)

    def _name(self, here: int) -> tuple[str, int]:
        end = self.data.index(0, here)
        return self.data[here:end].decode(), end + 1


class _Times(dict[int, datetime]):
    """Times by milliseconds since 1970: many devices send at the same times."""

    def __missing__(self, after: int) -> datetime:
        self[after] = time = EPOCH + timedelta(milliseconds=after)
        return time


class ReadingSplitter:
    """Takes batches of readings as BSON, in order of time for each device, and gives them by device."""

    def __init__(self, options: CodecOptions[Any]) -> None:
        self.options = options
        self.layouts: defaultdict[int, list[ReadingLayout]] = defaultdict(list)
        self.known = self.unlike = 0
        self.rows: list[tuple[ReadingLayout, defaultdict[bytes, list[Row]]]] = []
        self.others: defaultdict[str, list[Document]] = defaultdict(list)

    def add(self, batch: bytes) -> None:
        """Take a batch: readings one after the other."""
        if self.unlike > MAX_UNLIKE:
            for document in bson.decode_all(batch, self.options):
                self.others[document["device_id"]].append(document)
            return
        here, size = 0, len(batch)
        while here < size:
            length = LENGTH.unpack_from(batch, here)[0]
            most = min(size, here + length * READINGS_PER_LOOK)
            end = here + length
            while end < most and LENGTH.unpack_from(batch, end)[0] == length and end + length <= most:
                end += length
            self._add_alike(batch[here:end], length)
            here = end

    def _add_alike(self, data: bytes, length: int) -> None:
        """Take readings of one length: at once where all look alike, else one by one."""
        for layout in self.layouts[length]:
            if layout.fits(data):
                self._unpack(layout, data)
                return
        if len(data) > length:
            for here in range(0, len(data), length):
                self._add_alike(data[here : here + length], length)
        elif self.known < MAX_LAYOUTS and (new := ReadingLayout.of(data)) is not None:
            self.known += 1
            self.layouts[length].append(new)
            self._unpack(new, data)
        else:
            self.unlike += 1
            document: Document = bson.decode(data, self.options)
            self.others[document["device_id"]].append(document)

    def _unpack(self, layout: ReadingLayout, data: bytes) -> None:
        rows = next((rows for one, rows in self.rows if one is layout), None)
        if rows is None:
            rows = defaultdict(list)
            self.rows.append((layout, rows))
        for row in layout.values.iter_unpack(data):
            rows[row[0]].append(row)

    def by_device(self) -> dict[str, Sequence[Document]]:
        """The readings of each device, in order of time: a table, or documents where they do not all look alike."""
        parts: defaultdict[str, list[Sequence[Document]]] = defaultdict(list)
        times = _Times()
        for layout, rows in self.rows:
            for key, several in rows.items():
                device = key.decode()
                _, stamps, *columns = zip(*several, strict=True)
                at = list(map(times.__getitem__, stamps))
                parts[device].append(ReadingTable(device, at, layout.names, columns, layout.clock))
        for device, documents in self.others.items():
            parts[device].append(documents)
        return {device: several[0] if len(several) == 1 else _in_order(several) for device, several in parts.items()}


def _in_order(parts: Iterable[Iterable[Document]]) -> list[Document]:
    """Readings of a device, whose times differ, in order."""
    return sorted((reading for part in parts for reading in part), key=itemgetter("timestamp"))


def split_readings(batches: Iterable[bytes], options: CodecOptions[Any]) -> dict[str, Sequence[Document]]:
    """Readings as BSON, in order of time for each device, by device."""
    splitter = ReadingSplitter(options)
    for batch in batches:
        splitter.add(batch)
    return splitter.by_device()
