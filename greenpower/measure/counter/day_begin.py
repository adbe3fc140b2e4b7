"""Where a daily register began again: at about local midnight, seen in its samples.

Clocks of devices are some minutes off, so a register may begin again up to an hour before or after midnight. Whether it
did is told from where it lands, from three samples on either side, and from what can have been counted since. Which
samples are accepted does not matter here.

What belongs here: finding the samples with which a day begins, and those near them that show yesterday's level once
more. What does not: what is counted (`daily`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cached_property
from itertools import pairwise

from greenpower.measure.counter.rules import SAMPLES_AHEAD, CounterRules
from greenpower.measure.counter.small_falls import SMALL_FALL_SHARE, is_small_fall
from greenpower.measure.local_time import ONE_DAY, start_of
from greenpower.measure.state import Number

# As far as the clock of a device may be off.
CLOCK_HOUR = timedelta(hours=1)
# So many samples before one may have a part in whether it is left out as one of yesterday's level.
SAMPLES_BEHIND = 2 * SAMPLES_AHEAD + 1


@dataclass(frozen=True, slots=True)
class DayBegin:
    """Whether a day begins with a sample. begins: it does. reach: the last sample that this depends on, one that has
    not come where fewer are there; None where it depends on none after it."""

    index: int
    begins: bool
    reach: int | None = None


class DayBegins:
    """Looks for the begins of days in a series, of which `start` on are asked for.

    swaps: times of reported swaps, which explain any step across them. whole: nothing is missing before the series.
    short: more samples before it may tell otherwise.
    """

    def __init__(
        self,
        values: Sequence[Number],
        times: Sequence[datetime],
        rules: CounterRules,
        *,
        start: int = 0,
        whole: bool = True,
    ) -> None:
        self.values, self.times, self.rules = values, times, rules
        self.start, self.whole = start, whole
        self.swaps = sorted(swap.at for swap in rules.decision.swaps)
        self.short = False
        self._midnights: dict[date, datetime] = {}

    @cached_property
    def found(self) -> dict[int, DayBegin]:
        """The samples at which a day might have begun, by index."""
        values = self.values
        days = [time.astimezone(self.rules.zone).date() for time in self.times]
        found = {}
        for index in range(max(1, self.start - SAMPLES_AHEAD), len(values)):
            if values[index] < values[index - 1] or days[index] != days[index - 1]:
                found[index] = self._judge(index, days[index])
                self.short |= not self.whole and index < SAMPLES_BEHIND
        return found

    def repeated(self) -> dict[int, int | None]:
        """The samples that show yesterday's level once more after a day began, which one of the next undercuts: by
        index the one that does; None where that may still come."""
        values, found = self.values, {}
        for begin in [begin.index for begin in self.found.values() if begin.begins]:
            level = values[begin - 1]
            latest = self._near(begin) + CLOCK_HOUR
            for index in range(begin + 1, min(begin + 1 + SAMPLES_AHEAD, len(values))):
                if index in self.found and self.found[index].begins:
                    break
                if self.times[index] > latest or not 0 < level * SMALL_FALL_SHARE <= values[index]:
                    continue
                ahead = self._ahead(index)
                lower = next((other for other in ahead if values[begin] <= values[other] < values[index]), None)
                if lower is not None or len(ahead) < SAMPLES_AHEAD:
                    found[index] = lower
        return found

    def _judge(self, index: int, day: date) -> DayBegin:
        before, here = self.times[index - 1], self.times[index]
        midnight = self._midnight(day)
        if self.values[index] < 0 or bisect_right(self.swaps, before) < bisect_right(self.swaps, here):
            return DayBegin(index, False)
        if before < midnight and here - midnight > CLOCK_HOUR:
            early = self.values[index] >= self.values[index - 1] and self._fell_before(index, midnight)
            return DayBegin(index, not early and self._can_be(index, midnight))
        if self.values[index] < self.values[index - 1]:
            return self._falls(index, midnight, day)
        return self._rises(index, midnight)

    def _falls(self, index: int, midnight: datetime, day: date) -> DayBegin:
        """A fall: near a midnight it is the begin of a day."""
        values, before, here = self.values, self.times[index - 1], self.times[index]
        crosses = before < midnight
        if before - midnight > CLOCK_HOUR:
            midnight = self._midnight(day + ONE_DAY)
            if midnight - here > CLOCK_HOUR:
                return DayBegin(index, False)
        if is_small_fall(values[index - 1], values[index]) or not self._can_be(
            index, max(before, midnight - CLOCK_HOUR)
        ):
            return DayBegin(index, False)
        if crosses:
            return DayBegin(index, True)
        if self._fell_before(index, midnight):
            return DayBegin(index, False)
        ahead = self._ahead(index)
        for other in ahead:
            rise = values[other] - values[index - 1]
            if rise >= 0 and self.rules.within_base(rise, (self.times[other] - before).total_seconds()):
                return DayBegin(index, False, other)
        return DayBegin(index, True, index + SAMPLES_AHEAD)

    def _rises(self, index: int, midnight: datetime) -> DayBegin:
        """No fall within the hour after midnight: the register may begin again later, or did so earlier."""
        values, times = self.values, self.times
        if not values[index - 1] or not self._can_be(index, midnight):
            return DayBegin(index, False)
        first = max(0, index - 1 - SAMPLES_AHEAD)
        seen = times[first] <= midnight - CLOCK_HOUR or (self.whole and first == 0)
        if not seen or self._fell_before(index, midnight):
            return DayBegin(index, False)
        ahead = self._ahead(index)
        lower = next((other for other in ahead if values[other] < values[index]), None)
        if lower is not None:
            return DayBegin(index, False, lower)
        last = index + SAMPLES_AHEAD
        return DayBegin(index, last < len(times) and times[last] >= midnight + CLOCK_HOUR, last)

    def _fell_before(self, index: int, midnight: datetime) -> bool:
        """Whether one of the three steps before a sample is a fall from near the midnight on, and no small one."""
        return any(
            self.times[other] > midnight - CLOCK_HOUR
            and self.values[other] < self.values[other - 1]
            and not is_small_fall(self.values[other - 1], self.values[other])
            for other in range(max(1, index - SAMPLES_AHEAD), index)
        )

    def _can_be(self, index: int, since: datetime) -> bool:
        """Whether all that a sample shows can have been counted since a time."""
        return self.rules.within_base(self.values[index], (self.times[index] - since).total_seconds())

    def _ahead(self, index: int) -> range:
        return range(index + 1, min(index + 1 + SAMPLES_AHEAD, len(self.values)))

    def _near(self, index: int) -> datetime:
        """The midnight with which a day began that a sample is the first of."""
        day = self.times[index].astimezone(self.rules.zone).date()
        midnight = self._midnight(day)
        return midnight if self.times[index - 1] - midnight <= CLOCK_HOUR else self._midnight(day + ONE_DAY)

    def _midnight(self, day: date) -> datetime:
        found = self._midnights.get(day)
        if found is None:
            found = self._midnights[day] = start_of(datetime.combine(day, time.min), self.rules.zone)
        return found


def is_within_day(values: Sequence[Number], times: Sequence[datetime], zone: tzinfo) -> bool:
    """Whether a register does not fall and all its samples are of one local day: then no day begins with one."""
    first, last = (moment.astimezone(zone).date() for moment in (times[0], times[-1]))
    return first == last and all(before <= after for before, after in pairwise(values))
