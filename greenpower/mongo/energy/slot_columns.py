"""Slot columns: the numbers of many slots, packed into one binary per column, and sums of ranges of them. Pure.

```
slots of a day:   0: 00:00   1: 00:15   …   95: 23:45          slots of a month:   0: the 1st   …   30: the 31st

energy   int64    counts, whole millionths of the unit
n        uint32   accepted samples
silence  uint32   seconds of silence that the energy includes
flags    uint8    of greenpower.measure.slot
last     float64  register of the last accepted sample, where n is not 0; NaN for deltas, which have none
last_at  uint32   its time, milliseconds since the start of the slot's day, where n is not 0
```

All little-endian, on any machine. Empty slots at the end are left out, so a day that has just begun is small. What
belongs here: the packing. What does not: which slot a time has, documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from struct import Struct
from typing import Any, NamedTuple

from greenpower.measure.slot import OPEN
from greenpower.mongo.energy.document import SlotsDocument

SLOTS_PER_DAY = 96
SLOTS_PER_MONTH = 31
# The bytes of a number in each column.
ENERGY_BYTES, COUNT_BYTES, FLAG_BYTES, REGISTER_BYTES = 8, 4, 1, 8
# The most that a slot holds, 7.2e10 units: no meter counts so much in a day, and the sum of a document fits an int64.
LARGEST_ENERGY = 2**56
LARGEST_COUNT = 2**32 - 1
NOTHING = b"\0"
ONE_REAL = Struct("<d")
# What stands in the column of registers where samples are no registers.
NO_REGISTER = math.nan


class SlotSum(NamedTuple):
    """What slots hold together.

    energy: counts. n: samples. silence: seconds. flags: any. first_slot, last_slot: the first and the last one with a
    sample, -1 where there is none; last, last_ms: its register, and the time of it since the start of the slot's day.
    """

    energy: int
    n: int
    silence: int
    flags: int
    first_slot: int
    last_slot: int
    last: float
    last_ms: int


@dataclass(slots=True)
class SlotColumns:
    """The columns of a document, one number per slot in each. flags are those of `greenpower.measure.slot`."""

    energy: list[int]
    n: list[int]
    silence: list[int]
    flags: list[int]
    last: list[float]
    last_ms: list[int]

    @classmethod
    def empty(cls, count: int) -> SlotColumns:
        """Slots without anything."""
        return cls([0] * count, [0] * count, [0] * count, [0] * count, [0.0] * count, [0] * count)

    @classmethod
    def unpack(cls, packed: SlotsDocument | Mapping[str, Any], size: int) -> SlotColumns:
        """The columns of a document of `size` slots. Raises struct.error where they are not of one length."""
        count = len(packed["flags"])
        integers, counts, reals = integers_of(count), counts_of(count), reals_of(count)
        empty = [0] * (size - count)
        return cls(
            [*integers.unpack(packed["energy"]), *empty],
            [*counts.unpack(packed["n"]), *empty],
            [*counts.unpack(packed["silence"]), *empty],
            [*packed["flags"], *empty],
            [*reals.unpack(packed["last"]), *empty],
            [*counts.unpack(packed["last_at"]), *empty],
        )

    def pack(self) -> SlotsDocument:
        """The columns as a document, up to the last slot that has anything."""
        size = len(self.flags)
        counts = counts_of(size)
        energy, n, silence = integers_of(size).pack(*self.energy), counts.pack(*self.n), counts.pack(*self.silence)
        flags = bytes(self.flags)
        # Whole columns are packed and their ends looked at as bytes, which takes a tenth of going through the slots.
        count = max(
            -(-len(energy.rstrip(NOTHING)) // ENERGY_BYTES),
            -(-max(len(n.rstrip(NOTHING)), len(silence.rstrip(NOTHING))) // COUNT_BYTES),
            len(flags.rstrip(NOTHING)),
        )
        return {
            "energy": energy[: count * ENERGY_BYTES],
            "n": n[: count * COUNT_BYTES],
            "silence": silence[: count * COUNT_BYTES],
            "flags": flags[:count],
            "last": reals_of(count).pack(*self.last[:count]),
            "last_at": counts_of(count).pack(*self.last_ms[:count]),
        }

    def clear(self, begin: int, end: int) -> None:
        """Empty the slots `[begin, end)`."""
        zeros = [0] * (end - begin)
        for column in (self.energy, self.n, self.silence, self.flags, self.last_ms):
            column[begin:end] = zeros
        self.last[begin:end] = [0.0] * (end - begin)

    def put(self, slot: int, *, energy: int, n: int, silence: int, flags: int, last: float, last_ms: int) -> None:
        """Fill a slot. Energy beyond `LARGEST_ENERGY` is withheld, and the slot is OPEN."""
        if not -LARGEST_ENERGY <= energy <= LARGEST_ENERGY:
            energy, flags = 0, flags | OPEN
        self.energy[slot] = energy
        self.n[slot] = n
        self.silence[slot] = silence if silence <= LARGEST_COUNT else LARGEST_COUNT
        self.flags[slot] = flags
        self.last[slot] = last
        self.last_ms[slot] = last_ms

    def sum(self, begin: int = 0, end: int | None = None) -> SlotSum:
        """What the slots `[begin, end)` hold together."""
        end = len(self.n) if end is None else end
        n, flags = self.n[begin:end], bytes(self.flags[begin:end])
        filled = bytes(map(bool, n))
        first, last = filled.find(1), filled.rfind(1)
        if last >= 0:
            first, last = begin + first, begin + last
        return SlotSum(
            sum(self.energy[begin:end]),
            sum(n),
            sum(self.silence[begin:end]),
            reduce(or_, flags, 0) if flags.strip(NOTHING) else 0,
            first,
            last,
            self.last[last] if last >= 0 else 0.0,
            self.last_ms[last] if last >= 0 else 0,
        )

    @property
    def is_empty(self) -> bool:
        """Whether no slot has anything."""
        return not (any(self.n) or any(self.energy) or any(self.flags) or any(self.silence))


def sum_packed(packed: SlotsDocument | Mapping[str, Any], begin: int, end: int) -> SlotSum:
    """As `SlotColumns.sum`, without unpacking the rest: for reports over many documents."""
    end = min(end, len(packed["flags"]))
    begin = min(begin, end)
    count = end - begin
    counts = counts_of(count)
    n = counts.unpack_from(packed["n"], begin * COUNT_BYTES)
    flags = packed["flags"][begin:end]
    silence = packed["silence"]
    last_ms, register = 0, 0.0
    first = slot = -1
    samples = sum(n)
    if samples:
        place = 0
        while not n[place]:
            place += 1
        first, place = begin + place, count - 1
        while not n[place]:
            place -= 1
        slot = begin + place
        [register] = reals_of(1).unpack_from(packed["last"], slot * REGISTER_BYTES)
        [last_ms] = counts_of(1).unpack_from(packed["last_at"], slot * COUNT_BYTES)
    return SlotSum(
        sum(integers_of(count).unpack_from(packed["energy"], begin * ENERGY_BYTES)),
        samples,
        # Most stretches have none, and looking for a byte costs less than adding.
        sum(counts.unpack_from(silence, begin * COUNT_BYTES)) if silence.strip(NOTHING) else 0,
        reduce(or_, flags) if flags.strip(NOTHING) else 0,
        first,
        slot,
        register,
        last_ms,
    )


def sum_ranges(packed: SlotsDocument | Mapping[str, Any], ranges: Iterable[tuple[int, int]]) -> Iterator[SlotSum]:
    """As `sum_packed` of each range `[begin, end)`, in less time than one after the other."""
    flags = packed["flags"]
    count = len(flags)
    integers, counts = integers_of(count), counts_of(count)
    energies, n, last_at = integers.unpack(packed["energy"]), counts.unpack(packed["n"]), None
    silence = counts.unpack(packed["silence"]) if packed["silence"].strip(NOTHING) else None
    flagged = bool(flags.strip(NOTHING))
    for begin, end in ranges:
        end = min(end, count)
        begin = min(begin, end)
        inside = n[begin:end]
        samples = sum(inside)
        first = slot = -1
        last, last_ms = 0.0, 0
        if samples:
            first, slot = begin, end - 1
            while not n[first]:
                first += 1
            while not n[slot]:
                slot -= 1
            if last_at is None:
                last_at = counts.unpack(packed["last_at"])
            last_ms = last_at[slot]
            [last] = ONE_REAL.unpack_from(packed["last"], slot * REGISTER_BYTES)
        yield SlotSum(
            sum(energies[begin:end]),
            samples,
            sum(silence[begin:end]) if silence else 0,
            reduce(or_, flags[begin:end], 0) if flagged else 0,
            first,
            slot,
            last,
            last_ms,
        )


def register_of(found: SlotSum) -> float | None:
    """The register of the last accepted sample; None where there is no sample, or it is no register."""
    return None if not found.n or math.isnan(found.last) else found.last


@cache
def integers_of(count: int) -> Struct:
    return Struct(f"<{count}q")


@cache
def counts_of(count: int) -> Struct:
    return Struct(f"<{count}I")


@cache
def reals_of(count: int) -> Struct:
    return Struct(f"<{count}d")
