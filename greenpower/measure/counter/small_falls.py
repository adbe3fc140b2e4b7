"""Small falls: a register that falls by at most a tenth and goes on from there has counted nothing in between.

One alone is what a reboot costs. Several in a row are a register that counts both ways: one incident for all of them,
at the first. Flat samples between two do not end the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from greenpower.measure.counter.changes import LOOK_SAMPLES, MeterSamples, RegisterChanges
from greenpower.measure.counter.course import Course, CourseEvent, LookAhead, exact
from greenpower.measure.counter.rules import ROUNDING, Incident
from greenpower.measure.state import Number

# A fall to this share of the register or more is a small one.
SMALL_FALL_SHARE = 0.9

Verdicts = Mapping[datetime, bool]


def is_small_fall(before: Number, after: Number) -> bool:
    """Whether a fall is a small one."""
    return before > 0 and after * ROUNDING >= SMALL_FALL_SHARE * before


class SmallFalls:
    """The run of small falls that is going on. start: where the series is gone through from."""

    def __init__(self, changes: RegisterChanges, course: Course, start: int) -> None:
        self.changes = changes
        self.course = course
        self.start = start
        self.falls: list[int] = []
        self.begun_before = False

    def __bool__(self) -> bool:
        return bool(self.falls)

    @property
    def last(self) -> int:
        """The last fall."""
        return self.falls[-1]

    def add(self, index: int, stretch: MeterSamples, verdicts: Verdicts) -> None:
        """Add an accepted sample that is a small fall."""
        if self.falls and self.falls[-1] < index - LOOK_SAMPLES:
            self.end(stretch, verdicts)
        if not self.falls:
            self.begun_before = self._follows_another(index, stretch)
        self.falls.append(index)

    def _follows_another(self, index: int, stretch: MeterSamples) -> bool:
        """Whether the change before the first fall, before what is gone through, was a small fall."""
        low = self.changes.low(index, stretch)
        move = self.changes.last_move(index, low)
        if move is None:
            self.changes.short |= not stretch.whole and index - low < LOOK_SAMPLES
            return False
        before, after = self.changes.values[move - 1], self.changes.values[move]
        return move < self.start and before > after and is_small_fall(before, after)

    def end(self, stretch: MeterSamples, verdicts: Verdicts) -> None:
        """The run is over: the register rose again, fell further, or there are no more samples of this meter."""
        if not self.falls:
            return
        falls, self.falls = self.falls, []
        values, times = self.changes.values, self.changes.times
        first, many = falls[0], len(falls) > 1 or self.begun_before
        following = self.changes.next_move(falls[-1])
        if following is None or following >= stretch.end:
            following = stretch.end - 1 if stretch.closed else len(values)
        if not self.begun_before:
            self.course.events.append(
                CourseEvent(
                    incident=Incident.SMALL_FALL,
                    index=first,
                    before=self.course.last_before(first),
                    adds=-exact(values[first], values[self.course.last_before(first)]),
                    settled_at=following,
                    open=many,
                )
            )
            self.course.decisions.append(LookAhead(first, first - 1, falls[1] if len(falls) > 1 else following))
        if many and times[first] not in verdicts:
            self.course.withheld.update(falls)
