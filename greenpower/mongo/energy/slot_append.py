"""Appending quarter-hours to the packed columns of a day, without unpacking what is before them. Pure.

Nearly all that is written to the ledger goes to the end of a day: the windows that are done now, and the ones before
them again. What belongs here: that case alone, with the same result as `greenpower.mongo.energy.ledger_part`, which
does all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from greenpower.measure.slot import QUARTER_SECONDS, QuarterSlots, Slot
from greenpower.mongo.energy.ledger_part import DayPart
from greenpower.mongo.energy.slot_columns import (
    COUNT_BYTES,
    ENERGY_BYTES,
    FLAG_BYTES,
    LARGEST_COUNT,
    LARGEST_ENERGY,
    REGISTER_BYTES,
    counts_of,
    integers_of,
    reals_of,
)

WIDTHS = {
    "energy": ENERGY_BYTES,
    "n": COUNT_BYTES,
    "silence": COUNT_BYTES,
    "flags": FLAG_BYTES,
    "last": REGISTER_BYTES,
    "last_at": COUNT_BYTES,
}


class PackedSlots(NamedTuple):
    """The quarter-hours of a part, the last of which has a sample. packed: columns. total: counts. samples: accepted.
    last, last_ms: of the last sample."""

    packed: Mapping[str, bytes]
    total: int
    samples: int
    last: float
    last_ms: int


def append(day: datetime, document: Mapping[str, Any] | None, part: DayPart, now: datetime) -> dict[str, Any] | None:
    """A day's document, but its key and `as_of`, with a part that lies at its end; None where it does not, or has
    anything but plain quarter-hours."""
    slots, begin = part.slots, part.begin
    if not slots or part.holds or part.resolution is not None:
        return None
    total = samples = there = 0
    if document is not None:
        total, samples, old = document["total"], document["samples"], document["slots"]
        there = len(old["flags"])
        if part.end < there or document["holds"] or document["resolution"] is not None:
            return None
        if begin < there:
            count = there - begin
            total -= sum(integers_of(count).unpack_from(old["energy"], begin * ENERGY_BYTES))
            samples -= sum(counts_of(count).unpack_from(old["n"], begin * COUNT_BYTES))
    end = _pack_columns(day, begin, slots) if isinstance(slots, QuarterSlots) else _pack_slots(day, begin, slots)
    if end is None:
        return None
    kept, gap = min(begin, there), max(0, begin - there)
    packed: Mapping[str, bytes] = end.packed
    if begin:
        packed = {
            name: (old[name][: kept * width] if kept else b"") + bytes(gap * width) + packed[name]
            for name, width in WIDTHS.items()
        }
    return {
        "slots": packed,
        "total": total + end.total,
        "samples": samples + end.samples,
        "last": end.last,
        "last_at": day + timedelta(milliseconds=end.last_ms),
        "holds": [],
        "resolution": None,
        "updated_at": now,
    }


def _pack_columns(day: datetime, begin: int, slots: QuarterSlots) -> PackedSlots | None:
    """Slots by columns, from quarter-hour `begin` on, where they lie side by side."""
    places, times = slots.times.in_day(day)
    energies, ns = slots.energy, slots.times.n
    count, gap = len(places), places[0] - begin
    if places[-1] - places[0] != count - 1:
        return _pack_slots(day, begin, slots)
    if max(energies) > LARGEST_ENERGY or min(energies) < -LARGEST_ENERGY:
        return None
    registers, counts = list(map(float, slots.last)), counts_of(count)
    packed = {
        "energy": integers_of(count).pack(*energies),
        "n": counts.pack(*ns),
        "silence": bytes(count * COUNT_BYTES),
        "flags": bytes(count),
        "last": reals_of(count).pack(*registers),
        "last_at": counts.pack(*times),
    }
    if gap:
        packed = {name: bytes(gap * width) + packed[name] for name, width in WIDTHS.items()}
    return PackedSlots(packed, sum(energies), sum(ns), registers[-1], times[-1])


def _pack_slots(day: datetime, begin: int, slots: Sequence[Slot]) -> PackedSlots | None:
    """Slots from quarter-hour `begin` on; None where one has too much energy, a sample that is no register, or the last
    one has no sample."""
    newest = slots[-1]
    if newest.last is None or not newest.n:
        return None
    size = (newest.start - day).seconds // QUARTER_SECONDS + 1 - begin
    energies, ns, silences, flags, times = [0] * size, [0] * size, [0] * size, bytearray(size), [0] * size
    registers = [0.0] * size
    for slot in slots:
        place = (slot.start - day).seconds // QUARTER_SECONDS - begin
        energy = slot.energy
        if not -LARGEST_ENERGY <= energy <= LARGEST_ENERGY:
            return None
        energies[place], flags[place] = energy, slot.flags
        silences[place] = min(slot.silence_s, LARGEST_COUNT)
        if slot.last_at is not None:
            if slot.last is None:
                return None
            after = slot.last_at - day
            ns[place], registers[place] = slot.n, float(slot.last)
            times[place] = after.seconds * 1000 + after.microseconds // 1000
    counts = counts_of(size)
    packed = {
        "energy": integers_of(size).pack(*energies),
        "n": counts.pack(*ns),
        "silence": counts.pack(*silences),
        "flags": bytes(flags),
        "last": reals_of(size).pack(*registers),
        "last_at": counts.pack(*times),
    }
    return PackedSlots(packed, sum(energies), sum(ns), registers[-1], times[-1])
