"""Going through a series by the rules of a counter, one unusual sample after the other.

The register is the last accepted sample. A rise within the base needs no further look, and most series consist of
nothing else; so only the other samples are judged one by one. What a fall leaves open is kept as a `Hold`. A choice
looks at `SAMPLES_AHEAD` samples after it at most, and at what the register usually does around it (`changes`).

What belongs here: what follows what while no fall is open. What does not: open falls (`open_fall`), what a choice looks
at (`sight`), windows (`register`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from greenpower.measure.counter.changes import MeterSamples
from greenpower.measure.counter.course import Course, exact
from greenpower.measure.counter.open_fall import OpenFall
from greenpower.measure.counter.quick_look import SAME_UNIT
from greenpower.measure.counter.rules import LARGEST_STEP, SAMPLES_AHEAD, CounterRules, Incident, Swap
from greenpower.measure.counter.series import Series
from greenpower.measure.counter.small_falls import is_small_fall
from greenpower.measure.counter.track import NOTHING
from greenpower.measure.slot import to_counts
from greenpower.measure.state import Number


class Passage(OpenFall):
    """Goes through a series.

    irregular: the samples whose step from the sample before is not simply a rise. whole: nothing is missing before.
    low, settled: choices that reach from before the one to it, or to the other, are kept.
    """

    def __init__(
        self, series: Series, rules: CounterRules, irregular: Sequence[int], *, whole: bool, low: int, settled: int
    ) -> None:
        super().__init__(series, rules, low=low, settled=settled)
        self.irregular = irregular
        self.whole = whole
        self.start = series.start
        self.unmeasured = series.unmeasured

    def go(self) -> Course:
        """Go through all meters."""
        swaps = sorted(self._swaps(), key=lambda swap: swap.at)
        bounds = [0]
        for swap in swaps:
            bounds.append(max(bounds[-1], bisect_left(self.times, swap.at)))
        bounds.append(len(self.values))
        for number, (begin, end) in enumerate(pairwise(bounds)):
            if number and begin >= self.start:
                self._change_meter(swaps[number - 1])
            # Of a meter that another one has followed nothing more comes.
            self.stretch = MeterSamples(begin, end, whole=begin > 0 or self.whole, closed=end < len(self.values))
            self._go(max(begin, self.start))
            self.small_falls.end(self.stretch, self.verdicts)
        if self.fall is not None and self.fall.index is not None:
            # How it ends is written where it began.
            self._decided(self.fall.index, len(self.values), through=self.fall.index - 1)
        return self.course

    def _swaps(self) -> Sequence[Swap]:
        """What cuts the series."""
        return self.rules.decision.swaps

    def _go(self, index: int) -> None:
        """Go through the samples of one meter."""
        stretch = self.stretch
        while index < stretch.end:
            if self.at == index - 1 >= stretch.begin and self.hold is None:
                place = bisect_left(self.irregular, index)
                following = min(self.irregular[place], stretch.end) if place < len(self.irregular) else stretch.end
                if following > index:
                    self._move(following - 1)
                    index = following
                    continue
            self._sample(index)
            index += 1

    def _sample(self, index: int) -> None:
        self.unsure = False
        if self.at is None:
            self._first(index)
        elif self.hold is not None:
            self._held(index, self.at, self.hold)
        else:
            self._next(index, self.at)
        if self.unsure:
            # What comes later may still teach that something here is usual. Where that changes the register, the
            # windows after it are computed again for that.
            self._decided(index, len(self.values), through=index + SAMPLES_AHEAD)

    def _next(self, index: int, at: int) -> None:
        """A sample while no fall is open."""
        step = self.values[index] - self.values[at]
        if step < 0:
            self._falls(index, at)
        elif (index in self.unmeasured and step <= LARGEST_STEP) or self.rules.within_base(
            step, self._seconds(at, index)
        ):
            self._move(index)
        else:
            self._rises(index, at, step)

    def _first(self, index: int) -> None:
        """The first sample of a meter: left out if those that follow it go on among themselves below it."""
        ahead = self._ahead(index)
        back = next((other for other in ahead if self.values[other] >= self.values[index]), None)
        if back is None and len(ahead) == SAMPLES_AHEAD and self._goes_on(ahead):
            self._leave_out(index, Incident.SPIKE, None, ahead[-1])
        elif self.old is None:
            self.course.firsts.add(index)
            self.at = index
        else:
            self._count(index, *self._across(self.old, self.values[index]))
            self._set_hold(index, None)
        self._decided(index, index + SAMPLES_AHEAD if back is None else back)

    def _rises(self, index: int, at: int, step: Number) -> None:
        """A rise beyond the base."""
        if self._stays(index, at, step):
            self._move(index)
            return
        if self._is_ordinary(index, at, step):
            self._move(index)
            return
        ahead = self._ahead(index)
        if (back := self._undercut(index, at, ahead)) is not None:
            self._leave_out(index, Incident.SPIKE, at, back)
            self._decided(index, back)
            return
        verdict = self.verdicts.get(self.times[index])
        if len(ahead) == SAMPLES_AHEAD and self._is_other_unit(index, at):
            self._changes_unit(index, at, verdict)
        elif not (fits := self._allows(index, at, step)) and len(ahead) < SAMPLES_AHEAD:
            self._leave_out(index, Incident.SPIKE, at, None)
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

    def _stays(self, index: int, at: int, step: Number) -> bool:
        """Whether none of the next samples is lower and the rise is within the limit, so that it counts in any case.

        Registers of whole kWh do so all the time. Only where nothing is left open by that.
        """
        last = index + SAMPLES_AHEAD
        if (
            last >= min(self.settled, self.stretch.end)
            or index < self.low <= last
            or self.times[index] in self.verdicts
        ):
            return False
        ahead = self.values[index : last + 1]
        if min(ahead) < ahead[0] or ahead[0] > SAME_UNIT * self.values[at]:
            return False
        return self._allows(index, at, step)

    def _falls(self, index: int, at: int) -> None:
        """A fall."""
        ahead = self._ahead(index)
        if self._leave_out_dip(index, at, ahead):
            return
        verdict = self.verdicts.get(self.times[index])
        value, register = self.values[index], self.values[at]
        modulus = self.rules.limits.modulus
        if modulus is not None and self._rolls_over(index, at, modulus):
            if verdict is False:
                self._count(index, Fraction())
            else:
                counts = to_counts(value) - to_counts(register) + to_counts(modulus)
                self._count(index, exact(value, register) + Fraction(modulus), counts)
            self._note(Incident.ROLLOVER, index, at, index + SAMPLES_AHEAD, True)
        elif self._is_other_unit(index, at):
            self._changes_unit(index, at, verdict)
        elif is_small_fall(register, value):
            self.small_falls.add(index, self.stretch, self.verdicts)
            self.course.steps[index] = NOTHING
            self.at = index
        elif verdict is not None:
            counted = max(value, 0) if verdict else 0
            self._count(index, Fraction(counted), to_counts(counted))
            self._note(Incident.FALL, index, at, index + SAMPLES_AHEAD, verdict)
        else:
            self._begin_hold(index, at, unit=False)
        self._decided(index, index + SAMPLES_AHEAD)

    def _changes_unit(self, index: int, at: int, verdict: bool | None) -> None:
        if verdict is False:
            self._count(index, Fraction())
            self._note(Incident.UNIT_CHANGE, index, at, index + SAMPLES_AHEAD, verdict)
        else:
            self._begin_hold(index, at, unit=True)
