"""What became of a series: which samples were left out, what the unusual steps count, what happened on the way.

What belongs here: the result of the rules, by index into the series. What does not: the rules (`passage`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction

from greenpower.measure.counter.hold import Hold
from greenpower.measure.counter.rules import Incident
from greenpower.measure.state import Number


@dataclass(frozen=True, slots=True)
class StepEnergy:
    """What a step counts that is not simply the difference of two registers: exactly, and in counts."""

    energy: Fraction
    counts: int


@dataclass(slots=True, kw_only=True)
class CourseEvent:
    """An incident in a series. index: the sample that it shows at; None where that is before the series.

    before: the register before it, by index. hold: what it began. until: the sample that ended that. adds: what the
    incident adds to the energy between the two registers; None where a sample was left out. settled_at: the sample
    that decides the last of it; the series' end where that has not come. open: there is something to decide.
    """

    incident: Incident
    index: int | None
    before: int | None = None
    hold: Hold | None = None
    until: int | None = None
    adds: Fraction | None = None
    settled_at: int
    open: bool = False

    def is_in(self, low: int, high: int) -> bool:
        """Whether it shows at one of some samples."""
        return self.index is not None and low <= self.index < high


@dataclass(frozen=True, slots=True)
class LookAhead:
    """A choice that needed samples after it. Samples `index` to `through` depend on it; `reach` is the last that it
    looked at, the series' end or beyond it where that has not come yet."""

    index: int
    through: int
    reach: int


@dataclass(slots=True)
class Course:
    """The course of a series.

    left_out: in order. steps: into accepted samples, where they are not simply the rise. firsts: accepted samples with
    no register before them. holds: the open fall after a sample, where that changes. withheld: samples at which an
    incident that nobody has decided keeps energy back.
    """

    left_out: list[int] = field(default_factory=list)
    steps: dict[int, StepEnergy] = field(default_factory=dict)
    firsts: set[int] = field(default_factory=set)
    holds: list[tuple[int, Hold | None]] = field(default_factory=list)
    events: list[CourseEvent] = field(default_factory=list)
    decisions: list[LookAhead] = field(default_factory=list)
    withheld: set[int] = field(default_factory=set)

    def accepted(self, a: int, b: int) -> int:
        """How many of samples `a` to `b` are accepted."""
        return b - a - (bisect_left(self.left_out, b) - bisect_left(self.left_out, a))

    def first_from(self, index: int) -> int:
        """The first accepted sample that is not before one."""
        place = bisect_left(self.left_out, index)
        while place < len(self.left_out) and self.left_out[place] == index:
            index, place = index + 1, place + 1
        return index

    def last_before(self, index: int) -> int:
        """The last accepted sample before one; -1 where there is none."""
        place = bisect_left(self.left_out, index) - 1
        index -= 1
        while place >= 0 and self.left_out[place] == index:
            index, place = index - 1, place - 1
        return index

    def hold_after(self, index: int) -> Hold | None:
        """The open fall after a sample."""
        place = bisect_right(self.holds, index, key=lambda item: item[0])
        return self.holds[place - 1][1] if place else None


def exact(after: Number, before: Number) -> Fraction:
    """The exact difference of two registers."""
    return Fraction(after) - Fraction(before)
