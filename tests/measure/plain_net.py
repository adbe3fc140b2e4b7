"""The plain recomputation of a net register: every step counts, unless it stands alone or is larger than the limit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from tests.measure.plain_count import Hold
from tests.measure.plain_series import AHEAD, LARGEST, Segment, hours, within
from tests.measure.plain_walk import Walk


class NetSegment(Segment):
    """The samples of one meter, of which falls tell as much as rises."""

    __slots__ = ()

    def changes(self, index: int) -> tuple[list[tuple[Fraction, Fraction]], list[tuple[Fraction, Fraction]]]:
        before, after = super().changes(index)
        return [(abs(size), abs(rate)) for size, rate in before], [(abs(size), abs(rate)) for size, rate in after]

    def usual(self, index: int) -> Fraction:
        before, after = self.changes(index)
        rates = [rate for _, rate in before]
        return max(_shown(rates + [rate for _, rate in after[:count]]) for count in range(len(after) + 1))

    def is_ordinary(self, index: int, before: int) -> bool:
        meter, since, step = self.meter, self.since_run(index, before), abs(self.step(index, before))
        if meter.power is not None or meter.floor is None or step > LARGEST:
            return False
        if meter.rate is not None and not within(step, Fraction(meter.rate) * since):
            return False
        known, _ = self.changes(index)
        return sum(within(step / since, 2 * rate) for _, rate in known) >= 4

    def fits(self, index: int, before: int) -> bool:
        step = abs(self.step(index, before))
        return step <= LARGEST and within(step, self.limit(index, before))

    def rise_after(self, index: int) -> Fraction:
        places = [index, *self.ahead(index)]
        sizes = [abs(self.step(later, place)) for place, later in pairwise(places)]
        changes = [size for size in sizes if size]
        return statistics.median(changes) if changes else Fraction()

    def power_of_ten(self, index: int, before: int) -> int | None:
        was, value = self.value(before), self.value(index)
        if not was or (value < 0) != (was < 0) or not value or len(self.ahead(index)) < AHEAD:
            return None
        ratio = Fraction(value) / Fraction(was)
        k = round(math.log10(ratio))
        usual, later = self.typical(index), self.rise_after(index)
        if abs(k) < 2 or abs(ratio / Fraction(10) ** k - 1) > Fraction(2, 100) or not usual or not later:
            return None
        return k if abs(math.log10(later / usual) - k) < 0.5 else None


class NetWalk(Walk):
    """Going along the samples of a net register."""

    def begin(self, index: int) -> None:
        self.accept(index, ((1, self.segment.value(index)), *self.across) if self.across else ())

    def normal(self, index: int, before: int) -> None:
        segment, step = self.segment, self.segment.step(index, before)
        free = segment.both and (before, index) == (0, 1)
        if abs(step) <= LARGEST and (free or within(abs(step), segment.base(index, before))):
            self.accept(index, self.rise(index, before))
            return
        verdict = segment.meter.verdicts.get(segment.time(index))
        if verdict != "rejected" and segment.is_ordinary(index, before):
            self.accept(index, self.rise(index, before))
            return
        outlier = "spike" if step > 0 else "dip"
        back = [place for place in segment.ahead(index) if self.is_back(place, index, before)]
        known = len(segment.ahead(index)) == AHEAD
        k = segment.power_of_ten(index, before)
        if back:
            self.note(outlier, index)
        elif k is not None and verdict == "rejected":
            self.note("unit_change", index, verdict)
            self.accept(index)
        elif k is not None:
            self.hold("unit_change", index, before, unit=k)
        elif not known and not segment.fits(index, before):
            self.leave_out(outlier, index)
        elif segment.fits(index, before) and verdict != "rejected":
            self.accept(index, self.rise(index, before))
        else:
            self.note("suspect_step", index, verdict or "open")
            self.accept(index, self.rise(index, before) if verdict == "confirmed" else ())

    def is_back(self, place: int, index: int, before: int) -> bool:
        """Whether a sample ahead is at most half as far from the register as this one, and within the limit of it."""
        segment = self.segment
        return 2 * abs(segment.step(place, before)) <= abs(segment.step(index, before)) and segment.fits(place, before)

    def held(self, index: int, before: int, hold: Hold) -> None:
        segment = self.segment
        away = abs(Fraction(segment.value(index)) - Fraction(hold.level))
        half = 2 * away <= abs(Fraction(hold.landed) - Fraction(hold.level))
        rate = segment.rate(index)
        allowed = rate if rate == float("inf") else Fraction(rate) * hours(segment.time(index) - hold.at)
        jumps = not within(abs(segment.step(index, before)), 10 * hold.typical)
        if half and jumps and away <= LARGEST and within(away, allowed):
            hold.incident.kind = "dip"
            hold.incident.status = hold.incident.status.replace("open", "noted")
            hold.incident.until = segment.time(index)
            self.result.hold = None
            self.accept(index, ((1, segment.value(index)), (-1, hold.level)))
        else:
            self.accept(index)


def _shown(rates: Sequence[Fraction]) -> Fraction:
    """The m-th largest of the rates: an outlier makes two changes and teaches nothing."""
    if not rates:
        return Fraction()
    needed = min(4, max((len(rates) + 1) // 2, min(len(rates), 3)))
    return sorted(rates, reverse=True)[needed - 1]
