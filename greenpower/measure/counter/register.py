"""The counters of one device over a stretch of readings: gone through by the rules, cut into windows and quarters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from greenpower.measure.column import Column, Cut
from greenpower.measure.counter.changes import LOOK_SAMPLES
from greenpower.measure.counter.counted import Counted, counter_events
from greenpower.measure.counter.cut import CutCourse, FilledQuarters
from greenpower.measure.counter.daily import DailyPassage, is_within_day
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.net import NetPassage
from greenpower.measure.counter.passage import Passage
from greenpower.measure.counter.quick_look import QuickLook
from greenpower.measure.counter.rules import (
    SAMPLES_BEFORE,
    CounterRules,
)
from greenpower.measure.counter.series import BURST_GAP, make_series
from greenpower.measure.counter.silence import SilenceFinder
from greenpower.measure.slot import Slot
from greenpower.measure.state import Number


class Register:
    """The counters of a device: readings `low` to `high` are asked for, those around them tell what is accepted.

    arrivals: which readings have the time of their arrival. stale_after: the shortest silence, in seconds; None: none
    is looked for. quarters: where slots are wanted, as cuts. revisit: times of samples before, which were decided by
    samples among those asked for, or are still undecided; resettle: those of them that matter only where what holds
    them was not settled.
    """

    def __init__(
        self,
        times: Sequence[datetime],
        low: int,
        high: int,
        settled_before: datetime,
        *,
        arrivals: Sequence[bool] | None = None,
        stale_after: float | None = None,
        quarters: Sequence[Cut] = (),
    ) -> None:
        self.times = times
        self.low, self.high = low, high
        self.settled_before = _without_burst(times, settled_before, arrivals)
        self.arrivals = arrivals if arrivals is not None and _has_bursts(times, arrivals) else None
        self.stale_after = stale_after
        self.quarters = quarters
        self.revisit: set[datetime] = set()
        self.resettle: set[datetime] = set()
        self._looked_at: Column | None = None  # and what was found there
        self._irregular: list[int] = []
        self._crossing: list[datetime] = []
        self._unsteady = False

    @cached_property
    def _look(self) -> QuickLook:
        return QuickLook(self.times, low=self.low, settled=bisect_left(self.times, self.settled_before))

    @cached_property
    def _filled(self) -> FilledQuarters:
        """The quarters, where a counter has a number in each reading."""
        return FilledQuarters.of(self.times, self.quarters, [(i, j) for _, i, j in self.quarters])

    def rises_as_usual(self, column: Column, rules: CounterRules, carry: Carry | None = None) -> bool:
        """Whether a counter only rose, as it usually does: then all its samples are accepted and count what they rise.

        carry: the register known before.
        """
        if len(column.values) < 2 or self.arrivals is not None or rules.decision.swaps:
            return False
        if rules.limits.daily and not is_within_day(column.values, self.times_of(column), rules.zone):
            return False
        look, times = self._look, self.times
        if column.where is not None:
            times = self.times_of(column)
            settled = bisect_left(times, self.settled_before)
            look = QuickLook(times, low=column.first_from(self.low), settled=settled)
        if carry is not None:
            place = bisect_left(times, carry.at)
            if carry.hold is not None or place == len(times) or times[place] != carry.at:
                return False
        self._irregular, self._crossing = _look_at(look, column.values, rules)
        self._looked_at = column
        if self._irregular:
            return False
        self._resettle(self._crossing)
        return True

    def _resettle(self, times: Iterable[datetime]) -> None:
        for time in times:
            if time not in self.revisit:
                self.revisit.add(time)
                self.resettle.add(time)

    def _must_revisit(self, time: datetime) -> None:
        self.revisit.add(time)
        self.resettle.discard(time)

    def times_of(self, column: Column) -> Sequence[datetime]:
        """The times of the numbers of a column."""
        return self.times if column.where is None else [self.times[index] for index in column.where]

    def usual_slots(self, column: Column) -> tuple[Sequence[Slot], bool]:
        """The slots of a counter that rises as usual, and whether more samples before may change something."""
        if not self.quarters:
            return (), False
        if column.where is None:
            slots = self._filled.slots(column.values)
            if self.stale_after is None or self._look.longest <= self.stale_after:
                return slots, False
            quarters = column.cut(self.quarters)
        else:
            quarters = column.cut(self.quarters)
            slots = FilledQuarters.of(self.times_of(column), self.quarters, quarters).slots(column.values)
        counted = Counted(states=[], slots=list(slots))
        self._add_silences(counted, CutCourse(column.values, self.times_of(column)), quarters)
        return counted.slots, counted.short

    def count(
        self,
        column: Column,
        places: Sequence[tuple[int, int]],
        rules: CounterRules,
        carry: Carry | None = None,
        *,
        whole: bool = False,
    ) -> Counted:
        """What became of a counter. places: the windows, as `column` cuts them. carry: the register known before.

        whole: the samples given are all that there ever were.
        """
        counted = self._by_rules(column, self.times_of(column), places, rules, carry, whole)
        if whole or column.first_from(self.low) >= LOOK_SAMPLES:
            counted.short = False
        elif carry is None:
            counted.short |= self._unsteady
        return counted

    def _by_rules(
        self,
        column: Column,
        times: Sequence[datetime],
        places: Sequence[tuple[int, int]],
        rules: CounterRules,
        carry: Carry | None,
        whole: bool,
    ) -> Counted:
        series = make_series(column, times, self.arrivals, carry)
        low, high = series.index(places[0][0]), series.index(places[-1][1])
        settled = bisect_left(series.times, self.settled_before)
        irregular, crossing = self._irregular, self._crossing
        if self._looked_at is not column:
            single = not (rules.decision.swaps or series.unmeasured or rules.limits.daily)
            look = QuickLook(series.times, low=low, settled=settled, single=single)
            irregular, crossing = _look_at(look, series.values, rules)
        # What the rules do not go through one by one, and may have to be settled all the same.
        self._resettle(crossing)
        passage = self._passage(rules)(series, rules, irregular, whole=whole, low=low, settled=settled)
        course = passage.go()
        cut = CutCourse(series.values, series.times, course, settled)
        spans = [(series.index(a), series.index(b)) for a, b in places]
        counted = Counted(
            states=[cut.state(a, b) for a, b in spans],
            holds=[cut.hold(a, b) for a, b in spans],
            unsettled=[number for number, (a, b) in enumerate(spans) if cut.is_unsettled(a, b)],
        )
        counted.events = counter_events(column.name, series, course, cut.settled, low, high)
        # A fall that began here is told to its end, wherever that is.
        told = max(
            [high, *(event.until + 1 for event in course.events if event.until is not None and event.is_in(low, high))]
        )
        for decision in course.decisions:
            if decision.index < low <= decision.reach:
                if decision.through >= decision.index:
                    self._resettle(series.times[decision.index : min(decision.through + 1, low)])
                else:
                    self._must_revisit(series.times[decision.index])
            if decision.reach >= len(series.values) and decision.index < told and decision.through >= low - 1:
                counted.open = True
        for event in course.events:
            if event.index is None and event.hold is not None and event.until is not None and event.until >= low:
                self._must_revisit(event.hold.since)
        counted.short = passage.changes.short
        # Without a carry the first register is assumed, which is safe only if the register rises, or moves within the
        # base.
        unusual = course.left_out or course.steps or course.holds or (rules.limits.net and irregular)
        self._unsteady = bool(unusual) or column.first_from(self.low) < SAMPLES_BEFORE
        if self.quarters:
            quarters = [(series.index(a), series.index(b)) for a, b in column.cut(self.quarters)]
            counted.slots = [
                slot
                for (start, _, _), (a, b) in zip(self.quarters, quarters, strict=True)
                if (slot := cut.slot(start, a, b)) is not None
            ]
            self._add_silences(counted, cut, quarters)
        return counted

    @staticmethod
    def _passage(rules: CounterRules) -> type[Passage]:
        """The rules of a kind of register."""
        if rules.limits.net:
            return NetPassage
        return DailyPassage if rules.limits.daily else Passage

    def _add_silences(self, counted: Counted, cut: CutCourse, quarters: Sequence[tuple[int, int]]) -> None:
        if self.stale_after is None:
            return
        finder = SilenceFinder(cut.times, self.stale_after)
        silences = finder.find(cut.course, quarters[0][0], quarters[-1][1])
        counted.short |= finder.short
        if silences:
            cut.add_silences(counted.slots, silences)


def _look_at(look: QuickLook, values: Sequence[Number], rules: CounterRules) -> tuple[list[int], list[datetime]]:
    """A quick look at a series: its irregular samples, and the times of those before `low` that are settled only by
    what comes from there on."""
    look.resettle.clear()
    irregular = look.irregular(values, rules) if len(values) > 1 else []
    return irregular, [time for index in look.resettle for time in look.times[index : look.low]]


def _without_burst(times: Sequence[datetime], settled_before: datetime, arrivals: Sequence[bool] | None) -> datetime:
    """The time up to which no burst goes on: of one whose end has not come yet nothing is settled."""
    last = bisect_left(times, settled_before) - 1
    while arrivals is not None and last >= 0 and arrivals[last] and settled_before - times[last] < BURST_GAP:
        settled_before, last = times[last], last - 1
    return settled_before


def _has_bursts(times: Sequence[datetime], arrivals: Sequence[bool]) -> bool:
    arrived = [time for time, arrival in zip(times, arrivals, strict=True) if arrival]
    return any(after - before < BURST_GAP for before, after in pairwise(arrived))
