"""Slots: what a counter counted in one quarter of an hour, as the interval ledger keeps it. Pure.

Energies are whole millionths of the field's unit, so sums over any stretch are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import repeat
from operator import mul
from typing import overload

from greenpower.measure.state import Number

QUARTER_SECONDS = 900
COUNTS_PER_UNIT = 10**6
# A float beyond this has no counterpart in counts that is a float, too.
LARGEST_FLOAT_REGISTER = 1e300

# Flags of a slot. UNSETTLED: later samples may change it. OPEN: an incident that nobody has decided withholds energy
# here. SILENCE: energy of a silence before its sample is in it. ESTIMATED: its energy may belong to slots before it.
UNSETTLED = 1
OPEN = 2
SILENCE = 4
ESTIMATED = 8


@dataclass(slots=True)
class Slot:
    """The quarter-hour that begins at `start` (UTC).

    energy: counts. n: accepted samples. silence_s: seconds of silence that the energy includes. flags: any of
    UNSETTLED, OPEN, SILENCE, ESTIMATED. last, last_at: the last accepted sample; None where there is none. Of deltas,
    which have no register, last is None.
    """

    start: datetime
    energy: int = 0
    n: int = 0
    silence_s: int = 0
    flags: int = 0
    last: Number | None = None
    last_at: datetime | None = None


@dataclass(slots=True)
class QuarterTimes:
    """The quarters that samples lie in: starts, numbers of samples, times of the last ones. One for all counters of a
    device that have the same samples."""

    starts: Sequence[datetime]
    n: Sequence[int]
    last_at: Sequence[datetime]
    _in_day: dict[datetime, tuple[list[int], list[int]]] = field(default_factory=dict, repr=False, compare=False)

    def in_day(self, day: datetime) -> tuple[list[int], list[int]]:
        """Which quarters of a day they are, and the times of the last samples in milliseconds since its start."""
        found = self._in_day.get(day)
        if found is None:
            after = [time - day for time in self.last_at]
            found = self._in_day[day] = (
                [(start - day).seconds // QUARTER_SECONDS for start in self.starts],
                [time.seconds * 1000 + time.microseconds // 1000 for time in after],
            )
        return found


class QuarterSlots(Sequence[Slot]):
    """The slots of a counter all of whose steps count as they are, by columns: each has samples, none has flags.

    Where there are many, a `Slot` for each would be most of the work. energy: counts. last: the registers.
    """

    __slots__ = ("energy", "last", "times")

    def __init__(self, times: QuarterTimes, energy: Sequence[int], last: Sequence[Number]) -> None:
        self.times, self.energy, self.last = times, energy, last

    def __len__(self) -> int:
        return len(self.energy)

    def __iter__(self) -> Iterator[Slot]:
        times = self.times
        zeros = repeat(0)
        return map(Slot, times.starts, self.energy, times.n, zeros, zeros, self.last, times.last_at)

    @overload
    def __getitem__(self, place: int) -> Slot: ...

    @overload
    def __getitem__(self, place: slice) -> list[Slot]: ...

    def __getitem__(self, place: int | slice) -> Slot | list[Slot]:
        if isinstance(place, slice):
            return list(self)[place]
        times = self.times
        return Slot(
            times.starts[place], self.energy[place], times.n[place], 0, 0, self.last[place], times.last_at[place]
        )

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return id(self)


def all_to_counts(registers: Sequence[Number]) -> list[int]:
    """As `to_counts`, of registers that only rise, or whose steps are small beside `LARGEST_FLOAT_REGISTER`."""
    if registers[0] > -LARGEST_FLOAT_REGISTER and registers[-1] < LARGEST_FLOAT_REGISTER:
        return list(map(round, map(mul, registers, repeat(COUNTS_PER_UNIT))))
    return list(map(to_counts, registers))


def to_counts(register: Number) -> int:
    """A register in whole millionths of its unit."""
    if -LARGEST_FLOAT_REGISTER < register < LARGEST_FLOAT_REGISTER:
        return round(register * COUNTS_PER_UNIT)
    return round(Fraction(register) * COUNTS_PER_UNIT)
