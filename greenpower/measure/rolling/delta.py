"""Rolling up deltas: each sample is energy of its own. One that tells more than can have been used counts nothing
until an operator confirms it.

What can have been used is told by the greatest power of the device, else the declared greatest rate, over the time
since the sample before; nothing is learned. Of a burst, samples that arrived at once, the time is that since the sample
before the burst, and what can have been used is shared by its samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from greenpower.measure.column import Column
from greenpower.measure.counter.counted import CounterEvent
from greenpower.measure.counter.course import Course
from greenpower.measure.counter.rules import LARGEST_ENERGY, LARGEST_STEP, CounterRules, Incident, highest_rise
from greenpower.measure.counter.series import BURST_GAP
from greenpower.measure.counter.silence import SilenceFinder
from greenpower.measure.delta import delta_value, make_delta
from greenpower.measure.rolling.stretch import Places, RollStretch
from greenpower.measure.slot import OPEN, SILENCE, Slot, to_counts
from greenpower.measure.state import Number


def roll_delta(stretch: RollStretch, column: Column, places: Places) -> None:
    """Put the samples of a delta into the buckets, its slots and its incidents into the result."""
    name, result = column.name, stretch.result
    samples = _Samples(stretch, column)
    low, high = places[0][0], places[-1][1]
    suspicious = samples.suspicious(low, high)
    result.incidents += [samples.event(index) for index in suspicious]
    withheld = [index for index in suspicious if not samples.counts(index)]
    for bucket, (a, b) in zip(result.buckets, places, strict=True):
        if a < b:
            state = make_delta(samples.counting(a, b, withheld), samples.times[a:b])
            bucket.stats[name] = state
            bucket.payload[name] = delta_value(state)
    if stretch.quarters:
        result.slots[name] = samples.slots(withheld)
    if samples.short and name not in stretch.carries:
        result.short.add(name)


class _Samples:
    """The samples of a delta. short: samples before those that are given may change something."""

    def __init__(self, stretch: RollStretch, column: Column) -> None:
        self.stretch, self.column = stretch, column
        self.values: Sequence[Number] = column.values
        self.times = stretch.times_of(column)
        rules = stretch.rules(column.name)
        self.verdicts = rules.decision.verdicts
        self.rate = _rate(rules)
        self.short = False

    def suspicious(self, low: int, high: int) -> list[int]:
        """The samples from number `low` to `high` that tell more than can have been used."""
        found: list[int] = []
        largest = max(map(abs, self.values[low:high]), default=0)
        if self.rate is None and largest <= LARGEST_STEP:
            return found
        begin = self._burst_begin(low)
        used: Number = 0
        for index in range(begin, high):
            if index > begin and not self._goes_on(index):
                begin, used = index, 0
            value = abs(self.values[index])
            if value <= LARGEST_STEP and (
                self.rate is None or self._fits(used + value, self._before(begin), self.times[index])
            ):
                used += value
            elif index >= low:
                found.append(index)
        return found

    def _fits(self, used: Number, before: datetime | None, time: datetime) -> bool:
        """Whether so much can have been used since the sample before; where nothing was before, anything can."""
        if before is None:
            return True
        assert self.rate is not None
        return used <= highest_rise(self.rate, (time - before).total_seconds())

    def _burst_begin(self, index: int) -> int:
        while index and self._goes_on(index):
            index -= 1
        return index

    def _goes_on(self, index: int) -> bool:
        """Whether a sample arrived at once with the one before it."""
        arrivals = self.stretch.arrivals
        if arrivals is None:
            return False
        here, before = self.column.reading(index), self.column.reading(index - 1)
        return arrivals[here] and arrivals[before] and self.times[index] - self.times[index - 1] < BURST_GAP

    def _before(self, index: int) -> datetime | None:
        """The time of the sample before one; None where there is none."""
        if index:
            return self.times[index - 1]
        carry = self.stretch.carries.get(self.column.name)
        self.short |= carry is None
        return carry.at if carry is not None and carry.at < self.times[0] else None

    def counts(self, index: int) -> bool:
        """Whether an operator says that a suspicious sample is right. What no meter counts never is."""
        return self.verdicts.get(self.times[index], False) and abs(self.values[index]) <= LARGEST_ENERGY

    def counting(self, a: int, b: int, withheld: Sequence[int]) -> Sequence[Number]:
        """The values of the samples `a` to `b` that count."""
        left = withheld[bisect_left(withheld, a) : bisect_left(withheld, b)]
        if not left:
            return self.values[a:b]
        return [self.values[index] for index in range(a, b) if index not in left]

    def event(self, index: int) -> CounterEvent:
        """The incident of a suspicious sample."""
        time, value = self.times[index], self.values[index]
        return CounterEvent(
            field=self.column.name,
            incident=Incident.STEP,
            at=time,
            value=value,
            before_at=self._before(self._burst_begin(index)),
            before=None,
            correction=Fraction() if self.counts(index) else -Fraction(value),
            open=time not in self.verdicts,
        )

    def slots(self, withheld: Sequence[int]) -> list[Slot]:
        """The quarter-hours that have samples."""
        cuts = self.column.cut(self.stretch.quarters)
        silences = self._silences(cuts[0][0], cuts[-1][1])
        undecided = [index for index in withheld if self.times[index] not in self.verdicts]
        found = []
        for (start, _, _), (a, b) in zip(self.stretch.quarters, cuts, strict=True):
            if a == b:
                continue
            slot = Slot(
                start=start,
                energy=sum(map(to_counts, self.counting(a, b, withheld))),
                n=b - a,
                flags=OPEN if bisect_left(undecided, a) < bisect_left(undecided, b) else 0,
                last_at=self.times[b - 1],
            )
            if silent := [seconds for index, seconds in silences.items() if a <= index < b]:
                slot.silence_s = sum(map(int, silent))
                slot.flags |= SILENCE
            found.append(slot)
        return found

    def _silences(self, low: int, high: int) -> dict[int, float]:
        stale_after = self.stretch.stale_after
        if stale_after is None:
            return {}
        times, added = self.times, 0
        if low == 0 and (before := self._before(0)) is not None:
            times, added = [before, *times], 1
        finder = SilenceFinder(times, stale_after)
        found = finder.find(Course(), low + added, high + added)
        self.short |= finder.short
        return {index - added: seconds for index, seconds in found.items()}


def _rate(rules: CounterRules) -> Number | None:
    """The most that can be used in an hour, in the field's unit."""
    return rules.limits.rate if rules.power is None else rules.power
