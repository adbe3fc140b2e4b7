"""Net registers: they may fall, as a meter does that takes what is fed in from what is used.

Every step counts as it is. Only one beyond the base, up or down, needs a further look: a sample that stands alone is
left out, a step that is not within the limit counts nothing until it is confirmed. There are no resets, small falls and
rollovers, since any fall may be a real one. What belongs here: these rules. What does not: what both kinds of register
look at (`sight`, `changes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from greenpower.measure.counter.course import exact
from greenpower.measure.counter.hold import Hold
from greenpower.measure.counter.passage import Passage
from greenpower.measure.counter.rules import LARGEST_STEP, ROUNDING, SAMPLES_AHEAD, Incident
from greenpower.measure.counter.sight import TYPICAL_FACTOR
from greenpower.measure.slot import to_counts
from greenpower.measure.state import Number

# A sample that is back is at most half as far from the register as the one that is left out. So four samples within
# the base of each other cannot all be left out, and four before a stretch tell the register at its begin.
BACK_SHARE = 0.5


class NetPassage(Passage):
    """Goes through the series of a net register."""

    def _next(self, index: int, at: int) -> None:
        step = self.values[index] - self.values[at]
        if (index in self.unmeasured and abs(step) <= LARGEST_STEP) or self.rules.within_base(
            abs(step), self._seconds(at, index)
        ):
            self._move(index)
        else:
            self._steps(index, at, step)

    def _first(self, index: int) -> None:
        if self.old is None:
            self.course.firsts.add(index)
            self.at = index
        else:
            self._count(index, *self._across(self.old, self.values[index]))
            self._set_hold(index, None)

    def _steps(self, index: int, at: int, step: Number) -> None:
        """A step beyond the base."""
        if self._is_ordinary(index, at, abs(step)):
            self._move(index)
            return
        ahead = self._ahead(index)
        outlier = Incident.SPIKE if step > 0 else Incident.DIP
        if (back := self._back_near(index, at, ahead)) is not None:
            self._leave_out(index, outlier, at, back)
            self._decided(index, back)
            return
        verdict = self.verdicts.get(self.times[index])
        if len(ahead) == SAMPLES_AHEAD and self._is_other_unit(index, at):
            self._changes_unit(index, at, verdict)
        elif not (fits := self._allows(index, at, abs(step))) and len(ahead) < SAMPLES_AHEAD:
            self._leave_out(index, outlier, at, None)
        elif fits and verdict is not False:
            self._move(index)
        else:
            if verdict:
                self._move(index)
            else:
                self._count(index, Fraction())
            settled_at = self._settled_at(index)
            self._note(Incident.STEP, index, at, settled_at, verdict)
            self._decided(index, settled_at, through=index + SAMPLES_AHEAD)
        self._decided(index, index + SAMPLES_AHEAD)

    def _back_near(self, index: int, at: int, ahead: Sequence[int]) -> int | None:
        """The sample ahead that is back near the register, within the limit."""
        register = self.values[at]
        far = abs(self.values[index] - register) * BACK_SHARE
        for other in ahead:
            away = abs(self.values[other] - register)
            if away <= far and self._allows(other, at, away):
                return other
        return None

    def _held(self, index: int, at: int, hold: Hold) -> None:
        """While the register shows another unit nothing counts, until an operator decides or it is back."""
        value = self.values[index]
        away = abs(value - hold.level)
        jumps = abs(value - self.values[at]) > TYPICAL_FACTOR * hold.typical * ROUNDING
        near = away <= abs(hold.landed - hold.level) * BACK_SHARE
        if jumps and near and self._learned(index, away, (self.times[index] - hold.at).total_seconds()):
            self._count(index, exact(value, hold.level), to_counts(value) - to_counts(hold.level))
            self._end_hold(index, Incident.DIP)
        else:
            self._count(index, Fraction())
            self._withhold(index, hold)
