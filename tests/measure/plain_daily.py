"""The plain recomputation of a daily register: with which samples its days begin, straight from the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import cache

from tests.measure.plain_series import AHEAD, LARGEST, Number, PlainMeter, Sample, Segment, within

HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class DayCut:
    """A day begins with the sample at this time."""

    at: datetime


@cache
def midnight(day: date, zone: tzinfo) -> datetime:
    """The first second that is of a local day: looked for from two days before it on."""
    low = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(tz=None) - 2 * DAY
    high = low + 4 * DAY
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle == low:
            break
        if middle.astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle
    return high


class _Days:
    def __init__(self, samples: Sequence[Sample], meter: PlainMeter) -> None:
        self.samples, self.meter = samples, meter
        self.begun: dict[int, datetime] = {}
        for index in range(1, len(samples)):
            near = self.begins(index)
            if near is not None:
                self.begun[index] = near

    def at(self, index: int) -> datetime:
        return self.samples[index][0]

    def value(self, index: int) -> Number:
        return self.samples[index][1]

    def ahead(self, index: int) -> list[int]:
        return list(range(index + 1, min(index + 1 + AHEAD, len(self.samples))))

    def last_midnight(self, index: int) -> datetime:
        return midnight(self.at(index).astimezone(self.meter.zone).date(), self.meter.zone)

    def next_midnight(self, index: int) -> datetime:
        return midnight(self.at(index).astimezone(self.meter.zone).date() + DAY, self.meter.zone)

    def countable(self, size: Fraction, since: datetime, until: datetime) -> bool:
        """Whether so much can have been counted between two times, within the base."""
        span = Segment([(since, 0), (until, 0)], self.meter)
        return size <= LARGEST and within(size, span.base(1, 0))

    def small(self, index: int) -> bool:
        was = self.value(index - 1)
        return was > 0 and within(Fraction(was) * Fraction(9, 10), self.value(index))

    def fell_before(self, index: int, near: datetime) -> bool:
        """Whether one of the three steps before was a fall, no small one, later than an hour before the midnight."""
        return any(
            self.value(place) < self.value(place - 1) and not self.small(place) and self.at(place) > near - HOUR
            for place in range(index - AHEAD, index)
            if place >= 1
        )

    def begins(self, index: int) -> datetime | None:
        """The midnight that a day begins at with a sample; None where none does."""
        was, value, before, here = self.value(index - 1), self.value(index), self.at(index - 1), self.at(index)
        if value < 0 or any(before < swap.at <= here for swap in self.meter.swaps):
            return None
        passed, coming, shown = self.last_midnight(index), self.next_midnight(index), Fraction(value)
        over = before < passed
        if over and here > passed + HOUR:  # D1
            if value >= was and self.fell_before(index, passed):
                return None
            return passed if self.countable(shown, passed, here) else None
        if value < was:  # D2
            near = passed if before <= passed + HOUR else coming if coming <= here + HOUR else None
            if near is None or self.small(index) or not self.countable(shown, max(before, near - HOUR), here):
                return None
            if over:
                return near
            taken_back = any(
                self.value(place) >= was
                and self.countable(Fraction(self.value(place)) - Fraction(was), before, self.at(place))
                for place in self.ahead(index)
            )
            return None if taken_back or self.fell_before(index, near) else near
        if not over or was == 0 or not self.countable(shown, passed, here):  # D3
            return None
        first, ahead = max(0, index - 1 - AHEAD), self.ahead(index)
        seen = first == 0 or self.at(first) <= passed - HOUR
        if not seen or self.fell_before(index, passed) or len(ahead) < AHEAD:
            return None
        lower = any(self.value(place) < value for place in ahead)
        return passed if not lower and self.at(ahead[-1]) >= passed + HOUR else None

    def repeated(self) -> dict[datetime, bool]:
        """D4: the samples that show the level of the day before once more, and whether one ahead has undercut them."""
        found = {}
        for begun, near in self.begun.items():
            level = Fraction(self.value(begun - 1))
            for index in range(begun + 1, min(begun + 1 + AHEAD, len(self.samples))):
                if index in self.begun:
                    break
                if self.at(index) > near + HOUR or level <= 0 or Fraction(self.value(index)) < level * Fraction(9, 10):
                    continue
                undercut = any(
                    self.value(begun) <= self.value(place) < self.value(index) for place in self.ahead(index)
                )
                if undercut or len(self.ahead(index)) < AHEAD:
                    found[self.at(index)] = undercut
        return found


def find_days(samples: Sequence[Sample], meter: PlainMeter) -> tuple[list[datetime], dict[datetime, bool]]:
    """The times of the samples with which days begin; and of those that show the day before, see `_Days.repeated`."""
    days = _Days(samples, meter)
    return [samples[index][0] for index in days.begun], days.repeated()
