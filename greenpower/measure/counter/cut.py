"""Cutting a course into windows and quarters of an hour: the states and slots of what was accepted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from operator import sub

from greenpower.measure.column import Cut
from greenpower.measure.counter.course import Course, exact
from greenpower.measure.counter.hold import Hold
from greenpower.measure.counter.state import make_counter, with_entry
from greenpower.measure.slot import (
    OPEN,
    SILENCE,
    UNSETTLED,
    QuarterSlots,
    QuarterTimes,
    Slot,
    all_to_counts,
    to_counts,
)
from greenpower.measure.state import Number, State


def undisturbed(values: Sequence[Number], times: Sequence[datetime], a: int, b: int) -> State:
    """The state of samples `a` to `b`, at least one, of a register that only rose."""
    return {
        "n": b - a,
        "first": values[a],
        "first_at": times[a],
        "last": values[b - 1],
        "last_at": times[b - 1],
        "correction": 0,
    }


@dataclass(frozen=True, slots=True)
class FilledQuarters:
    """The quarters that have samples. before: the sample before the first of them, where there is one, else that one.
    lasts: their last ones."""

    times: QuarterTimes
    before: int
    lasts: Sequence[int]

    @classmethod
    def of(cls, times: Sequence[datetime], cuts: Sequence[Cut], quarters: Sequence[tuple[int, int]]) -> FilledQuarters:
        """times: of the samples. cuts: the quarters; quarters: the samples in them."""
        filled = [(start, a, b) for (start, _, _), (a, b) in zip(cuts, quarters, strict=True) if a < b]
        lasts = [b - 1 for _, _, b in filled]
        found = QuarterTimes(
            [start for start, _, _ in filled], [b - a for _, a, b in filled], [times[last] for last in lasts]
        )
        return cls(found, max(0, quarters[0][0] - 1), lasts)

    def slots(self, values: Sequence[Number]) -> QuarterSlots:
        """The slots of a register that only rose."""
        lasts = [values[last] for last in self.lasts]
        counts = all_to_counts([values[self.before], *lasts])
        return QuarterSlots(self.times, list(map(sub, counts[1:], counts)), lasts)


class CutCourse:
    """Cuts a course; without one all samples are accepted and count what they rise.

    settled: the samples before this one are all there: no further one is expected between them.
    """

    def __init__(
        self,
        values: Sequence[Number],
        times: Sequence[datetime],
        course: Course | None = None,
        settled: int | None = None,
    ) -> None:
        self.values = values
        self.times = times
        self.course = course or Course()
        self.settled = len(values) if settled is None else settled
        self.special = list(self.course.steps)
        self.withheld = sorted(self.course.withheld)
        unsettled = [found for found in self.course.decisions if found.reach >= self.settled]
        self.unsettled = [(found.index, found.through) for found in unsettled if found.index <= found.through]

    def _special(self, a: int, b: int) -> list[int]:
        """The samples `a` to `b` whose steps are not simply the rise."""
        if not self.special:
            return []
        return self.special[bisect_left(self.special, a) : bisect_left(self.special, b)]

    def _added(self, index: int) -> Fraction:
        """What the step into a sample counts besides its rise."""
        before = self.course.last_before(index)
        return self.course.steps[index].energy - exact(self.values[index], self.values[before])

    def state(self, a: int, b: int) -> State | None:
        """The state of samples `a` to `b`; None where none of them is accepted."""
        first, last = self.course.first_from(a), self.course.last_before(b)
        if first >= b:
            return None
        correction = sum((self._added(index) for index in self._special(first + 1, last + 1)), Fraction())
        ends = (first, last)
        state = make_counter([self.values[i] for i in ends], [self.times[i] for i in ends], correction)
        state["n"] = self.course.accepted(a, b)
        if first in self.course.steps:
            falls = self.values[first] < self.values[self.course.last_before(first)]
            with_entry(state, self._added(first), always=falls)
        return state

    def hold(self, a: int, b: int) -> Hold | None:
        """The fall that is open at the end of samples `a` to `b`."""
        last = self.course.last_before(b)
        return self.course.hold_after(last) if last >= a and self.course.holds else None

    def is_unsettled(self, a: int, b: int) -> bool:
        """Whether later samples may change what samples `a` to `b` count."""
        return any(index < b and a <= through for index, through in self.unsettled)

    def slot(self, start: datetime, a: int, b: int) -> Slot | None:
        """The slot of samples `a` to `b`; None where none of them is accepted."""
        values, course = self.values, self.course
        if course.left_out:
            first, last = course.first_from(a), course.last_before(b)
            before = course.last_before(first)
        else:
            first, last, before = a, b - 1, a - 1
        if first >= b:
            return None
        energy = to_counts(values[last]) - to_counts(values[before if before >= 0 else first])
        flags = 0
        if self.special:
            for index in self._special(a, b):
                rise = to_counts(values[index]) - to_counts(values[course.last_before(index)])
                energy += course.steps[index].counts - rise
        if self.unsettled and self.is_unsettled(a, b):
            flags |= UNSETTLED
        if self.withheld and bisect_left(self.withheld, a) < bisect_left(self.withheld, b):
            flags |= OPEN
        return Slot(
            start=start,
            energy=energy,
            n=course.accepted(a, b) if course.left_out else b - a,
            flags=flags,
            last=values[last],
            last_at=self.times[last],
        )

    def add_silences(self, slots: Sequence[Slot], silences: Mapping[int, float]) -> None:
        """Add silences, given by the sample after them, to the slots of those samples."""
        starts = [slot.start for slot in slots]
        for index, seconds in silences.items():
            time = self.times[index]
            place = bisect_left(starts, time)
            if place == len(starts) or starts[place] != time:
                place -= 1
            slots[place].silence_s += int(seconds)
            slots[place].flags |= SILENCE
