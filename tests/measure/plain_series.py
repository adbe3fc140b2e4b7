"""What the plain recomputation of a counter looks at: its valid samples, their runs and changes, rates and limits.

Written from the rules alone. Nothing here is fast, and nothing here knows what was decided about a sample before.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import pairwise

Number = int | float
Sample = tuple[datetime, Number]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD, CHANGES, LOOK = 3, 16, 1000
BURST = timedelta(seconds=1)
#: No step is larger than this, whatever the limits.
LARGEST = 9 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSwap:
    """Another meter from `at` on: the register that the old one ended with, and the one that the new one began with."""

    at: datetime
    last: Number
    first: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainMeter:
    """What is known of a counter. rate, floor, power: in its unit per hour; None where there is none.

    verdicts: what an operator decided, "confirmed" or "rejected", by the time of the sample. stale_after: seconds.
    kind: counter, net or daily; zone: of the days of a daily one.
    """

    rate: Number | None = None
    floor: Number | None = None
    power: Number | None = None
    modulus: Number | None = None
    stale_after: Number = math.inf
    swaps: tuple[PlainSwap, ...] = ()
    verdicts: dict[datetime, str] = field(default_factory=dict)
    kind: str = "counter"
    zone: tzinfo = UTC


def within(value: Number | Fraction, limit: Number | Fraction) -> bool:
    """Whether a value is at most the limit; decimals that are meant to be equal are."""
    if math.isinf(limit):
        return limit > 0
    return Fraction(value) <= Fraction(limit) * (1 + Fraction(1, 10**9))


def hours(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 3_600_000_000)


def without_bursts(samples: Sequence[Sample], arrivals: Collection[datetime]) -> tuple[list[Sample], bool]:
    """The samples but for those of a burst that are not its last; whether the series begins with both of a burst's."""
    kept: list[Sample] = []
    both = False
    for index, sample in enumerate(samples):
        after = samples[index + 1] if index + 1 < len(samples) else None
        goes_on = after is not None and sample[0] in arrivals and after[0] in arrivals and after[0] - sample[0] < BURST
        if not goes_on:
            kept.append(sample)
        elif index == 0:
            kept.append(sample)
            both = True
    return kept, both


@dataclass(frozen=True, slots=True)
class Segment:
    """The valid samples of one meter between two swaps, in order.

    both: the first two are the ends of a burst that nothing precedes. closed: another meter was reported after it.
    """

    samples: Sequence[Sample]
    meter: PlainMeter
    both: bool = False
    closed: bool = False

    def value(self, index: int) -> Number:
        return self.samples[index][1]

    def time(self, index: int) -> datetime:
        return self.samples[index][0]

    def ahead(self, index: int) -> list[int]:
        """The next three samples, fewer at the end."""
        return list(range(index + 1, min(index + 1 + AHEAD, len(self.samples))))

    def step(self, index: int, before: int) -> Fraction:
        return Fraction(self.value(index)) - Fraction(self.value(before))

    def changes(self, index: int) -> tuple[list[tuple[Fraction, Fraction]], list[tuple[Fraction, Fraction]]]:
        """(size, rate) of up to 16 changes before a sample, and of the 16 after it, both in order."""
        low, high = self._around(index)
        runs: list[tuple[Number, datetime]] = []
        before: list[tuple[Fraction, Fraction]] = []
        after: list[tuple[Fraction, Fraction]] = []
        for place in range(low, high):
            if runs and self.value(place) == runs[-1][0]:
                continue
            runs.append((self.value(place), self.time(place)))
            if len(runs) < 2 or place == index or (self.both and place == 1):
                continue
            (value, time), (other, later) = runs[-2:]
            size = Fraction(other) - Fraction(value)
            (before if place < index else after).append((size, size / hours(later - time)))
        return before[-CHANGES:], after[:CHANGES]

    def _around(self, index: int) -> tuple[int, int]:
        """The samples that the changes of a sample lie in: 1000 on each side, fewer where there are enough changes."""
        low, high, before, after = index, index + 1, 0, 0
        while low > max(0, index - LOOK) and before < CHANGES + 3:
            low -= 1
            before += self.value(low) != self.value(low + 1)
        while high < min(len(self.samples), index + LOOK + 1) and after < CHANGES + 1:
            after += self.value(high) != self.value(high - 1)
            high += 1
        return low, high

    def usual(self, index: int) -> Fraction:
        """S: the rate that the changes around a sample show."""
        before, after = self.changes(index)
        known = [rate for size, rate in before if size > 0]
        best = _shown(known)
        for count in range(1, len(after) + 1):
            best = max(best, _shown(known + [rate for size, rate in after[:count] if size > 0]))
        return best

    def rate(self, index: int) -> Number | Fraction:
        """The greatest rate of the step to a sample; infinite where there is none."""
        meter = self.meter
        if meter.power is not None:
            return meter.power
        learned: Number | Fraction = math.inf
        if meter.floor is not None:
            learned = max(Fraction(meter.floor), 10 * self.usual(index))
        return min(learned, math.inf if meter.rate is None else meter.rate)

    def base(self, index: int, before: int) -> Number | Fraction:
        """What is accepted without a look at the neighbours."""
        meter = self.meter
        known = [limit for limit in (meter.rate, meter.floor) if limit is not None]
        rate = meter.power if meter.power is not None else min(known, default=math.inf)
        span = hours(self.time(index) - self.time(before))
        return math.inf if math.isinf(rate) else Fraction(rate) * span

    def limit(self, index: int, before: int) -> Number | Fraction:
        """The limit of the step from one sample to another."""
        rate = self.rate(index)
        if math.isinf(rate):
            return math.inf
        return max(Fraction(rate) * self.since_run(index, before), self.base(index, before))

    def since_run(self, index: int, before: int) -> Fraction:
        """The hours to a sample since the register before it was first shown."""
        start = before
        while start > max(0, index - LOOK) and self.value(start - 1) == self.value(before):
            start -= 1
        return hours(self.time(index) - self.time(start))

    def is_ordinary(self, index: int, before: int) -> bool:
        """N1b: a register that only rose, and at least four times at half this rate or more, goes on so."""
        meter, since, step = self.meter, self.since_run(index, before), self.step(index, before)
        if meter.power is not None or meter.floor is None or step > LARGEST:
            return False
        if meter.rate is not None and not within(step, Fraction(meter.rate) * since):
            return False
        known, _ = self.changes(index)
        if any(size < 0 for size, _ in known):
            return False
        return sum(within(step / since, 2 * rate) for _, rate in known) >= 4

    def fits(self, index: int, before: int) -> bool:
        """Whether the step between two samples is within its limit. A fall is."""
        step = self.step(index, before)
        return step <= LARGEST and within(step, self.limit(index, before))

    def typical(self, index: int) -> Fraction:
        """The typical step before a sample, else after it, else 0."""
        before, _ = self.changes(index)
        sizes = [size for size, _ in before if size > 0]
        return statistics.median(sizes) if sizes else self.rise_after(index)

    def rise_after(self, index: int) -> Fraction:
        """The median of the rises among a sample and the three after it, 0 where there is none."""
        places = [index, *self.ahead(index)]
        sizes = [self.step(later, place) for place, later in pairwise(places)]
        rises = [size for size in sizes if size > 0]
        return statistics.median(rises) if rises else Fraction()

    def power_of_ten(self, index: int, before: int) -> int | None:
        """The k of a step that looks like another unit: the level and what it grows by went by the same 10^k."""
        if self.value(before) <= 0 or self.value(index) <= 0 or len(self.ahead(index)) < AHEAD:
            return None
        ratio = Fraction(self.value(index)) / Fraction(self.value(before))
        k = round(math.log10(ratio))
        usual, later = self.typical(index), self.rise_after(index)
        if abs(k) < 2 or abs(ratio / Fraction(10) ** k - 1) > Fraction(2, 100) or not usual or not later:
            return None
        return k if abs(math.log10(later / usual) - k) < 0.5 else None


def _shown(rates: Sequence[Fraction]) -> Fraction:
    """The m-th largest of the rates; one outlier teaches nothing."""
    if not rates:
        return Fraction()
    return sorted(rates, reverse=True)[min(4, (len(rates) + 1) // 2) - 1]
