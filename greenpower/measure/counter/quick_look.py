"""A quick look at a series: which of its steps need to be judged one by one.

Most do not: they are within the base, or a register that only rises does so as fast as it usually does. What is found
here is what the rules (`passage`) would find, only sooner; where a quick look does not tell, the rules are asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress
from operator import sub

from greenpower.measure.counter.changes import (
    CHANGES_AROUND,
    FAST_CHANGES,
    LEARNED_FACTOR,
    LOOK_SAMPLES,
    ORDINARY_FACTOR,
)
from greenpower.measure.counter.rules import LARGEST_STEP, SAMPLES_AHEAD, CounterRules, highest_rise
from greenpower.measure.state import Number

# So many steps are looked at together, with those around them.
CHUNK_STEPS = 6 * CHANGES_AROUND
# A register that grows to more than this many times at once may have changed its unit.
SAME_UNIT = 50
# Gaps as even as this need not be looked at one by one.
EVEN_GAPS = 1.01


class QuickLook:
    """Looks at series of one meter that were read at the same times.

    gaps: the seconds between the samples. low, settled: choices that reach from a sample before `low` to one after it,
    or to one from `settled` on, are left to the rules, which keep them in mind. single: all samples are one meter's,
    and the time that each step took is known.
    """

    def __init__(self, times: Sequence[datetime], *, low: int, settled: int, single: bool = True) -> None:
        self.times = times
        self.gaps = list(map(timedelta.total_seconds, map(sub, times[1:], times)))
        self.shortest = min(self.gaps, default=0.0)
        self.longest = max(self.gaps, default=0.0)
        self.even = self.longest <= EVEN_GAPS * self.shortest
        self.low, self.settled = low, settled
        self.single = single
        watched = {*range(low - SAMPLES_AHEAD, low), *range(settled - SAMPLES_AHEAD, len(times))}
        # Samples at which a choice is kept in mind, as it needs samples that are not there yet.
        self.watched = sorted(index for index in watched if 0 < index < len(times))
        # Samples before `low` that are taken as usual only because of samples from it on.
        self.resettle: list[int] = []
        self._rates: dict[tuple[Number | None, Number | None], tuple[float, float]] = {}

    def highest(self, rules: CounterRules) -> tuple[float, float]:
        """The most that a sample may be above the one before without a further look, and what is declared, where the
        two are closest."""
        rates = (rules.base_rate, rules.limits.rate)
        found = self._rates.get(rates)
        if found is None:
            base, declared = (
                LARGEST_STEP if rate is None else min(LARGEST_STEP, highest_rise(rate, self.shortest)) for rate in rates
            )
            found = self._rates[rates] = (base, declared)
        return found

    def irregular(self, values: Sequence[Number], rules: CounterRules) -> list[int]:
        """The samples whose step from the one before needs to be judged. At least two samples."""
        steps = list(map(sub, values[1:], values))
        highest, declared = self.highest(rules)
        largest = max(steps)
        if rules.limits.net:
            if largest <= highest and -min(steps) <= highest:
                return []
            return [
                index
                for index, (step, gap) in enumerate(zip(steps, self.gaps, strict=True), 1)
                if not rules.within_base(abs(step), gap)
            ]
        if largest <= highest:
            return [index for index, step in enumerate(steps, 1) if step < 0] if min(steps) < 0 else []
        learns = rules.learns and self.single and not rules.decision.verdicts
        if (
            # One chunk, as most are: its watched samples are those of the whole series.
            learns
            and self.even
            and len(steps) <= CHUNK_STEPS
            and largest <= declared
            and is_usual_chunk(sorted(steps), largest, values[0])
            and all([steps[index - 1] <= highest for index in self.watched])
        ):
            return []
        steps_of = Steps(self, values, steps, rules, highest, declared)
        if not learns:
            return [index for index, step in enumerate(steps, 1) if not 0 <= step <= highest and steps_of.beyond(index)]
        if len(steps) <= CHUNK_STEPS:
            return steps_of.in_chunk(0, steps, largest)
        if (
            self.even
            and largest <= declared
            and largest <= (SAME_UNIT - 1) * values[0]
            and min(steps) >= 0
            and are_seldom_slow(steps, largest)
        ):
            return [index for index in self.watched if steps[index - 1] > highest and steps_of.is_irregular(index)]
        found = []
        for begin in range(0, len(steps), CHUNK_STEPS):
            chunk = steps[begin : begin + CHUNK_STEPS]
            largest = max(chunk)
            if largest > highest:
                found += steps_of.in_chunk(begin, chunk, largest)
            elif min(chunk) < 0:
                found += [index for index, step in enumerate(chunk, begin + 1) if step < 0]
        return found


@dataclass(slots=True)
class Steps:
    """The steps of one series: how much each sample is above the one before."""

    look: QuickLook
    values: Sequence[Number]
    steps: Sequence[Number]
    rules: CounterRules
    highest: float
    declared: float
    rising: bool | None = None

    def beyond(self, index: int) -> bool:
        """Whether a step is not within the base."""
        step = self.steps[index - 1]
        return step < 0 or not self.rules.within_base(step, self.look.gaps[index - 1])

    def in_chunk(self, begin: int, chunk: Sequence[Number], largest: Number) -> list[int]:
        """The irregular samples of a chunk; at least one of its steps is high."""
        highest = self.highest
        if self.look.even and self._is_usual_chunk(begin, largest):
            watched, end = self.look.watched, begin + len(chunk)
            some = [index for index in watched if begin < index <= end and self.steps[index - 1] > highest]
        else:
            some = [index for index, step in enumerate(chunk, begin + 1) if not 0 <= step <= highest]
        return [index for index in some if self.is_irregular(index)]

    def _is_usual_chunk(self, begin: int, largest: Number) -> bool:
        """Whether a register only rises in a chunk and around it, and its largest step there is within what the
        others teach, wherever it is among them."""
        if not 0 < largest <= self.declared:
            return False
        around = sorted(self.steps[max(0, begin - CHANGES_AROUND) : begin + CHUNK_STEPS + CHANGES_AROUND])
        return is_usual_chunk(around, largest, self.values[begin])

    def is_irregular(self, index: int) -> bool:
        """Whether a step that is high, or a fall, is not a usual one."""
        place = index - 1
        step, gap = self.steps[place], self.look.gaps[place]
        if not self.beyond(index):
            return False
        if not 0 < step <= LARGEST_STEP:
            return True
        look, last = self.look, index + SAMPLES_AHEAD
        crosses = index < look.low <= last
        if not crosses and self._is_learned(place, step, gap):
            return False
        if self._is_ordinary(place, step, gap):
            return False
        if crosses and self._is_learned(place, step, gap):
            look.resettle.append(index)
            return False
        return True

    def _is_learned(self, place: int, step: Number, gap: float) -> bool:
        """Whether a step is within what is learned from those around it, and nothing else can be made of it: as many
        samples as decide are ahead, none of them is lower, and nothing is left open by that."""
        look, index, last = self.look, place + 1, place + 1 + SAMPLES_AHEAD
        if last >= look.settled or self.values[index] > SAME_UNIT * self.values[place]:
            return False
        if min(self.values[index : last + 1]) < self.values[index]:
            return False
        steps, gaps, fast = self.steps, look.gaps, 0
        seconds = self._run_seconds(place) if place and not steps[place - 1] else gap
        rate = self.rules.limits.rate
        if rate is not None and step > highest_rise(rate, seconds):
            return False
        if self.rules.within_base(step, seconds):
            return True
        needed = step / seconds / LEARNED_FACTOR
        after = place + 1
        seconds = 0.0
        for here in range(after, min(len(steps), after + CHANGES_AROUND)):
            seconds += gaps[here]
            if steps[here]:
                fast += steps[here] >= needed * seconds
                seconds = 0.0
                if fast == FAST_CHANGES:
                    return True
        # What the first step of all took is not known, nor what the run before it took.
        here, first = place - 1, max(0, place - CHANGES_AROUND)
        while here > first:
            size, seconds, here = steps[here], gaps[here], here - 1
            while here > first and not steps[here]:
                seconds, here = seconds + gaps[here], here - 1
            if not steps[here]:
                return False
            fast += size >= needed * seconds
            if fast == FAST_CHANGES:
                return True
        return False

    def _run_seconds(self, place: int) -> float:
        """The seconds of a step since the register it rises from was first shown, as far as is known."""
        if self.rising is None:
            self.rising = min(self.steps) >= 0
        first = place
        if self.rising:
            first = bisect_left(self.values, self.values[place], max(0, place + 1 - LOOK_SAMPLES), place)
        return (self.look.times[place + 1] - self.look.times[first]).total_seconds()

    def _is_ordinary(self, place: int, step: Number, gap: float) -> bool:
        """Whether a step is an ordinary one of a register that has only risen, without any flats."""
        near = self.steps[max(0, place - CHANGES_AROUND) : place]
        if len(near) <= FAST_CHANGES or min(near) <= 0:
            return False
        rate = self.rules.limits.rate
        if rate is not None and step > highest_rise(rate, gap):
            return False
        # The first only shows that the next one is a whole step.
        gaps = self.look.gaps[max(0, place - CHANGES_AROUND) + 1 : place]
        fast = sum(ORDINARY_FACTOR * size * gap >= step * seconds for size, seconds in zip(near[1:], gaps, strict=True))
        return fast >= FAST_CHANGES


def is_usual_chunk(around: Sequence[Number], largest: Number, register: Number) -> bool:
    """Whether a register only rises, and its largest step is within what the others teach, wherever it is.

    around: the steps of a chunk and of the changes on both sides of it, by size. register: at the begin of the chunk.
    """
    if len(around) <= CHANGES_AROUND or around[0] <= 0 or largest > (SAME_UNIT - 1) * register:
        return False
    # Each step has so many others around it. If all but a few may be slow, there are always enough that are not.
    others = CHANGES_AROUND if len(around) < CHUNK_STEPS + 2 * CHANGES_AROUND else 2 * CHANGES_AROUND
    return bisect_left(around, largest * EVEN_GAPS / LEARNED_FACTOR) <= others - FAST_CHANGES


def are_seldom_slow(steps: Sequence[Number], largest: Number) -> bool:
    """Whether around every step of a long series there are enough others that make the largest of all a usual one.

    A look at the whole series is cheaper than one at each of its chunks: most registers rise steadily.
    """
    needed = largest * EVEN_GAPS / LEARNED_FACTOR
    # A series of a day has many steps: half of what a comprehension costs.
    slow = list(compress(range(len(steps)), map(needed.__gt__, steps)))
    if not all(steps):
        # The change after a flat took longer than its last step.
        slow = sorted({*slow, *(place + 1 for place in slow if not steps[place])})
    width = 2 * CHANGES_AROUND + 1
    # At the ends there are fewer around a step.
    few = CHANGES_AROUND - FAST_CHANGES
    if len(slow) <= few:
        return True
    if slow[few] < width or slow[-few - 1] >= len(steps) - width:
        return False
    some = 2 * CHANGES_AROUND - FAST_CHANGES
    return all(map(width.__le__, map(sub, slow[some:], slow)))
