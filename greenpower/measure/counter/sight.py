"""What the rules look at around a sample: the samples ahead, the limit of a step, what else a step could be.

Nothing is decided here. What the register usually does is in `changes`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from math import log10
from statistics import median

from greenpower.measure.counter.changes import MeterSamples, RegisterChanges
from greenpower.measure.counter.rules import LARGEST_STEP, ROUNDING, SAMPLES_AHEAD, CounterRules, highest_rise
from greenpower.measure.counter.series import Series
from greenpower.measure.state import Number

# A register that passes its end is read soon after: the step across it is a small part of its range.
LARGEST_ROLLOVER = 0.1
# A register that returns rises by more than so many typical steps at once, and one that began again lands below that.
TYPICAL_FACTOR = 10
# A unit changes by a power of ten of at least this, nearly.
SMALLEST_UNIT_POWER = 2
UNIT_TOLERANCE = 0.02
# A power of ten is the nearest one within this.
HALF_A_POWER = 0.5


class Sight:
    """Looks at the samples of a series, those of one meter at a time (`stretch`).

    unsure: what was not within its limit may be so when more samples have come.
    """

    def __init__(self, series: Series, rules: CounterRules) -> None:
        self.values, self.times = series.values, series.times
        self.rules = rules
        self.verdicts = rules.decision.verdicts
        self.changes = RegisterChanges(series.values, series.times, series.unmeasured, net=rules.limits.net)
        self.stretch = MeterSamples(0, 0, False, False)
        self.unsure = False

    def _ahead(self, index: int) -> range:
        return range(index + 1, min(index + 1 + SAMPLES_AHEAD, self.stretch.end))

    def _goes_on(self, samples: Sequence[int]) -> bool:
        """Whether samples rise, each within its limit."""
        for before, after in pairwise(samples):
            step = self.values[after] - self.values[before]
            if step < 0 or not self._allows(after, before, step):
                return False
        return True

    def _undercut(self, index: int, at: int, ahead: Sequence[int]) -> int | None:
        """The sample ahead that is below this one and goes on from the register."""
        register, value = self.values[at], self.values[index]
        for other in ahead:
            if register <= self.values[other] < value and self._allows(other, at, self.values[other] - register):
                return other
        return None

    def _back(self, at: int, ahead: Sequence[int]) -> int | None:
        """The sample ahead that is back at the register."""
        register = self.values[at]
        for other in ahead:
            if self.values[other] >= register and self._allows(other, at, self.values[other] - register):
                return other
        return None

    def _rolls_over(self, index: int, at: int, modulus: Number) -> bool:
        value, register = self.values[index], self.values[at]
        if not 0 <= value <= register <= modulus:
            return False
        across = value - register + modulus
        return across <= modulus * LARGEST_ROLLOVER * ROUNDING and self._allows(index, at, across)

    def _is_other_unit(self, index: int, at: int) -> bool:
        """Whether the register goes on at a power of ten of what it was, in steps of the same power."""
        value, register = self.values[index], self.values[at]
        if self.rules.limits.net and register < 0:
            value, register = -value, -register
        if register <= 0 or value <= 0:
            return False
        ratio = value / register
        power = round(log10(ratio)) if 0 < ratio < float("inf") else 0
        if abs(power) < SMALLEST_UNIT_POWER or abs(ratio / 10.0**power - 1) > UNIT_TOLERANCE:
            return False
        changes = self.changes
        rises = changes.rises_ahead(index, self.stretch)
        typical = self._typical(index)
        if not rises or typical <= 0:
            return False
        middle = median(rises)
        return 0 < middle / typical < float("inf") and abs(log10(middle / typical) - power) < HALF_A_POWER

    def _lands_near(self, index: int, at: int, typical: Number) -> tuple[bool, Fraction]:
        """Whether a fall landed near 0, where a register begins again; and what it has counted since, if so."""
        value = self.values[index]
        near = value == 0 or (
            0 < value <= TYPICAL_FACTOR * typical * ROUNDING and self.rules.within_base(value, self._seconds(at, index))
        )
        return near, Fraction(value) if near else Fraction()

    def _typical(self, index: int) -> Number:
        return self.changes.typical(index, self.stretch)

    def _is_ordinary(self, index: int, at: int, step: Number) -> bool:
        rules, changes = self.rules, self.changes
        if not rules.learns or step > LARGEST_STEP or self.verdicts.get(self.times[index]) is False:
            return False
        seconds = self._run_seconds(index, at)
        if rules.limits.rate is not None and step > highest_rise(rules.limits.rate, seconds):
            return False
        return changes.is_ordinary(index, step, seconds, self.stretch)

    def _allows(self, index: int, at: int, step: Number) -> bool:
        """Whether a rise from an accepted sample is within its limit."""
        if self.rules.within_base(step, self._seconds(at, index)):
            return True
        return self._learned(index, step, self._run_seconds(index, at))

    def _learned(self, index: int, rise: Number, seconds: float) -> bool:
        rules = self.rules
        if rise > LARGEST_STEP:
            return False
        if rules.within_base(rise, seconds):
            return True
        limit = rules.limits.rate
        if not rules.learns or (limit is not None and rise > highest_rise(limit, seconds)):
            return False
        if self.changes.is_learned(index, rise, seconds, self.stretch):
            return True
        # Whatever comes after it may still teach that this is usual.
        self.unsure |= self.changes.known_at(index, self.stretch) >= len(self.values)
        return False

    def _run_seconds(self, index: int, at: int) -> float:
        """The time since the first sample of the run that an accepted sample is in."""
        changes = self.changes
        return changes.seconds(changes.run_start(at, changes.low(index, self.stretch)), index)

    def _seconds(self, since: int, index: int) -> float:
        return (self.times[index] - self.times[since]).total_seconds()

    def _settled_at(self, index: int) -> int:
        return self.changes.known_at(index, self.stretch)

    def _index_of(self, time: datetime) -> int | None:
        index = bisect_left(self.times, time)
        return index if index < len(self.times) and self.times[index] == time else None
