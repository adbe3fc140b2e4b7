"""Ledger parts: what was computed of one counter, and putting it into the quarter-hours of a day. Pure.

What belongs here: which quarter-hours a part replaces, and what is left of those that were there. What does not:
reading and writing documents (`greenpower.mongo.energy.ledger`), what a slot counts (`greenpower.measure`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from greenpower.measure.slot import ESTIMATED, OPEN, QUARTER_SECONDS, QuarterSlots, Slot
from greenpower.mongo.energy.document import SlotHoldDocument
from greenpower.mongo.energy.slot_columns import (
    LARGEST_COUNT,
    LARGEST_ENERGY,
    NO_REGISTER,
    SLOTS_PER_DAY,
    SlotColumns,
    SlotSum,
    register_of,
)

DAY = timedelta(days=1)
QUARTER = timedelta(seconds=QUARTER_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPart:
    """One counter of one device over `[begin, end)`, which begin and end with a quarter-hour, UTC.

    slots: all of the stretch, in order of time; quarter-hours without one are cleared. holds: the falls that are open
    at the ends of windows of the stretch, by that time, as buckets store them. resolution: None if the slots were made
    from readings; else the length in seconds of the buckets that they were made from.
    """

    device: str
    field: str
    begin: datetime
    end: datetime
    slots: Sequence[Slot]
    holds: Mapping[datetime, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    resolution: int | None = None

    def __post_init__(self) -> None:
        if self.begin.timestamp() % QUARTER_SECONDS or self.end.timestamp() % QUARTER_SECONDS:
            raise ValueError(f"a part of the ledger from {self.begin} to {self.end} is not of whole quarter-hours")
        if self.slots and not self.begin <= self.slots[0].start <= self.slots[-1].start < self.end:
            raise ValueError(f"slots of the ledger lie outside their part from {self.begin} to {self.end}")


@dataclass(frozen=True, slots=True)
class DayPart:
    """What of a part lies in one day: slots `[begin, end)`."""

    begin: int
    end: int
    slots: Sequence[Slot]
    holds: Mapping[datetime, Mapping[str, Any]]
    resolution: int | None


@dataclass(slots=True)
class LedgerDay:
    """The quarter-hours of one counter and day, while parts are put into them."""

    day: datetime
    columns: SlotColumns
    holds: list[SlotHoldDocument]
    resolution: int | None

    @classmethod
    def read(cls, day: datetime, document: Mapping[str, Any] | None) -> LedgerDay:
        """The day as a document has it; empty where there is none."""
        if document is None:
            return cls(day, SlotColumns.empty(SLOTS_PER_DAY), [], None)
        return cls(day, SlotColumns.unpack(document["slots"], SLOTS_PER_DAY), document["holds"], document["resolution"])

    def document(self, whole: SlotSum, now: datetime) -> dict[str, Any]:
        """The document of the day but its key and `as_of`. whole: the sum of its columns."""
        return {
            "slots": self.columns.pack(),
            "total": whole.energy,
            "samples": whole.n,
            "last": register_of(whole),
            "last_at": self.day + timedelta(milliseconds=whole.last_ms) if whole.n else None,
            "holds": self.holds,
            "resolution": self.resolution,
            "updated_at": now,
        }

    def put(self, part: DayPart) -> None:
        """Replace the quarter-hours of a part. One from buckets leaves alone what is better, window by window."""
        if part.resolution is None:
            self._replace(part.begin, part.end, part.slots)
        else:
            self._replace_estimates(part, part.resolution)
        if part.holds:
            self._add_holds(part)
        if self.resolution is not None or part.resolution is not None:
            estimated = any(flags & ESTIMATED for flags in self.columns.flags)
            self.resolution = max(self.resolution or 0, part.resolution or 0) if estimated else None

    def _replace(self, begin: int, end: int, slots: Sequence[Slot]) -> None:
        columns, day = self.columns, self.day
        columns.clear(begin, end)
        if self.holds:
            self.holds = [hold for hold in self.holds if not begin <= hold["slot"] < end]
        if isinstance(slots, QuarterSlots) and self._put_columns(slots):
            return
        # Called for each quarter-hour of every counter: so without a call per slot.
        energies, counts, silences = columns.energy, columns.n, columns.silence
        marks, registers, times = columns.flags, columns.last, columns.last_ms
        for slot in slots:
            place = (slot.start - day).seconds // QUARTER_SECONDS
            if -LARGEST_ENERGY <= slot.energy <= LARGEST_ENERGY:
                energies[place], marks[place] = slot.energy, slot.flags
            else:  # withheld
                marks[place] = slot.flags | OPEN
            silences[place] = min(slot.silence_s, LARGEST_COUNT)
            if slot.last_at is not None:
                after = slot.last_at - day
                counts[place], registers[place] = slot.n, NO_REGISTER if slot.last is None else float(slot.last)
                times[place] = after.seconds * 1000 + after.microseconds // 1000

    def _put_columns(self, slots: QuarterSlots) -> bool:
        """Fill slots that lie side by side, as most do. Returns False where nothing was done."""
        places, times = slots.times.in_day(self.day)
        begin, end = places[0], places[-1] + 1
        energies = slots.energy
        if end - begin != len(places) or max(energies) > LARGEST_ENERGY or min(energies) < -LARGEST_ENERGY:
            return False
        columns = self.columns
        columns.energy[begin:end] = energies
        columns.n[begin:end] = slots.times.n
        columns.last[begin:end] = map(float, slots.last)
        columns.last_ms[begin:end] = times
        return True

    def _replace_estimates(self, part: DayPart, resolution: int) -> None:
        """Buckets say when they ended, not when within them: one good quarter-hour is worth more than their window."""
        width = min(SLOTS_PER_DAY, max(1, resolution // QUARTER_SECONDS))
        for window in range(part.begin // width * width, part.end, width):
            begin, end = max(window, part.begin), min(window + width, part.end)
            if not self._is_better(window, min(window + width, SLOTS_PER_DAY), resolution):
                first, last = self.day + begin * QUARTER, self.day + end * QUARTER
                self._replace(begin, end, [slot for slot in part.slots if first <= slot.start < last])

    def _is_better(self, begin: int, end: int, resolution: int) -> bool:
        """Whether any of the slots is exact, or made from shorter buckets."""
        columns, finer = self.columns, self.resolution is not None and self.resolution < resolution
        return any(
            (columns.n[slot] or columns.energy[slot]) and (finer or not columns.flags[slot] & ESTIMATED)
            for slot in range(begin, end)
        )

    def _add_holds(self, part: DayPart) -> None:
        """A hold belongs to the last slot with a sample before the end of its window."""
        found = {hold["slot"]: hold for hold in self.holds}
        for time, hold in part.holds.items():
            end = SLOTS_PER_DAY if time - self.day >= DAY else (time - self.day) // QUARTER
            if (slot := self.columns.sum(part.begin, end).last_slot) >= 0:
                found[slot] = {"slot": slot, "hold": dict(hold)}  # type: ignore[typeddict-item]
        self.holds = [found[slot] for slot in sorted(found)]


def day_of(time: datetime) -> datetime:
    """The start of the UTC day that a time lies in."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(time: datetime) -> datetime:
    """The start of the UTC month that a time lies in."""
    return time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def by_day(part: LedgerPart) -> Iterator[tuple[datetime, DayPart]]:
    """A part cut at midnights."""
    day = day_of(part.begin)
    if part.end <= day + DAY:
        yield (
            day,
            DayPart(
                (part.begin - day) // QUARTER, (part.end - day) // QUARTER, part.slots, part.holds, part.resolution
            ),
        )
        return
    slots, here = part.slots, 0
    while day < part.end:
        after = day + DAY
        there = here
        while there < len(slots) and slots[there].start < after:
            there += 1
        yield (
            day,
            DayPart(
                max(0, (part.begin - day) // QUARTER),
                min(SLOTS_PER_DAY, (part.end - day) // QUARTER),
                slots[here:there],
                {time: hold for time, hold in part.holds.items() if day < time <= after},
                part.resolution,
            ),
        )
        day, here = after, there
