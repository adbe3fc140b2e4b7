"""Daily registers: they begin again each local day.

A day cuts the series like a swap of the meter for one that begins with 0, without an incident: what the register shows
then was counted since. Everything else follows the rules of a counter. What belongs here: putting these together. What
does not: where a day begins (`day_begin`).
"""

from __future__ import annotations

from collections.abc import Sequence

from greenpower.measure.counter.course import Course
from greenpower.measure.counter.day_begin import DayBegins, is_within_day
from greenpower.measure.counter.passage import Passage
from greenpower.measure.counter.rules import SAMPLES_AHEAD, CounterRules, Incident, Swap
from greenpower.measure.counter.series import Series

__all__ = ["DailyPassage", "is_within_day"]


class DailyPassage(Passage):
    """Goes through the series of a daily register."""

    def __init__(
        self, series: Series, rules: CounterRules, irregular: Sequence[int], *, whole: bool, low: int, settled: int
    ) -> None:
        super().__init__(series, rules, irregular, whole=whole, low=low, settled=settled)
        self.days = DayBegins(series.values, series.times, rules, start=series.start, whole=whole)
        self.repeated = self.days.repeated()
        self.irregular = sorted({*irregular, *self.repeated})

    def go(self) -> Course:
        course = super().go()
        self.changes.short |= self.days.short
        return course

    def _swaps(self) -> Sequence[Swap]:
        begins = []
        for day in self.days.found.values():
            if day.begins:
                begins.append(Swap(at=self.times[day.index], last=None, first=0))
            if day.reach is not None:
                # The samples just before look ahead no further than to the begin of a day.
                for index in range(max(self.start, day.index - SAMPLES_AHEAD), day.index + 1):
                    self._decided(index, day.reach)
        return [*self.rules.decision.swaps, *begins]

    def _sample(self, index: int) -> None:
        if index in self.repeated and self.at is not None:
            lower = self.repeated[index]
            self._leave_out(index, Incident.SPIKE, self.at, lower)
            self._decided(index, index + SAMPLES_AHEAD if lower is None else lower)
        else:
            super()._sample(index)
