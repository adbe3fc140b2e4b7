"""The plain, slow recomputation of means over time, straight from the rule, one segment at a time.

A sample's value holds until the field's next sample, at most as long as the limit of its reading: the larger of
`stale_after` and twice the median of the up to 16 gaps between the device's readings that end there. In a window that
is not over the mean goes to its last sample. Times are whole microseconds and sums are exact.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import median

Number = int | float
Sample = tuple[datetime, Number]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - EPOCH) // MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainMean:
    """What values hold in a stretch. seconds: for how long. size: integral of magnitudes, which rounding goes by."""

    seconds: Fraction
    integral: Fraction
    size: Fraction
    sine: float
    cosine: float

    @property
    def mean(self) -> Fraction | None:
        return self.integral / self.seconds if self.seconds else None

    @property
    def direction(self) -> float | None:
        """Degrees; None where the angles cancel out."""
        if not self.seconds or math.hypot(self.sine, self.cosine) < 1e-6 * self.seconds:
            return None
        return math.degrees(math.atan2(self.sine, self.cosine)) % 360


def limits(readings: Sequence[datetime], stale_after: Number) -> dict[int, Fraction]:
    """How long the values of each reading hold at most, in microseconds, by its time. readings: all of the device's."""
    times = [micros(time) for time in readings]
    shortest, found = Fraction(stale_after) * 1_000_000, {}
    for index, time in enumerate(times):
        near = times[max(0, index - 16) : index + 1]
        gaps = [after - before for before, after in pairwise(near)]
        found[time] = max(shortest, 2 * Fraction(median(gaps))) if gaps else shortest
    return found


class PlainSegments:
    """For how long each sample of a field holds. longest: the limits of the device's readings."""

    def __init__(self, samples: Sequence[Sample], longest: Mapping[int, Fraction]) -> None:
        self.starts = [micros(time) for time, _ in samples]
        self.values = [value for _, value in samples]
        following = [*map(Fraction, self.starts[1:]), Fraction(10**18)]
        self.stops = [min(at + longest[at], stop) for at, stop in zip(self.starts, following, strict=True)]

    def mean(self, begin: datetime, end: datetime, *, over: bool = True) -> PlainMean:
        """What they hold in `[begin, end)`."""
        since, until = micros(begin), micros(end)
        first, last = max(0, bisect_right(self.starts, since) - 1), bisect_left(self.starts, until)
        if not over:
            until = max((at for at in self.starts[first:last] if since <= at), default=since)
        seconds, integral, size, sine, cosine = Fraction(), Fraction(), Fraction(), 0.0, 0.0
        for number in range(first, last):
            value = self.values[number]
            length = (min(self.stops[number], Fraction(until)) - max(self.starts[number], since)) / 1_000_000
            if length > 0:
                seconds += length
                integral += Fraction(value) * length
                size += abs(Fraction(value)) * length
                sine += math.sin(value * math.pi / 180) * float(length)
                cosine += math.cos(value * math.pi / 180) * float(length)
        return PlainMean(seconds=seconds, integral=integral, size=size, sine=sine, cosine=cosine)


def plain_mean(
    readings: Sequence[datetime],
    samples: Sequence[Sample],
    begin: datetime,
    end: datetime,
    stale_after: Number,
    *,
    over: bool = True,
) -> PlainMean:
    """What the samples of a field hold in `[begin, end)`. readings: the times of all of the device's."""
    return PlainSegments(samples, limits(readings, stale_after)).mean(begin, end, over=over)
