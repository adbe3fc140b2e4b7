"""Silences: how long nothing was accepted before a sample, where that is unusual."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median

from greenpower.measure.counter.course import Course

# The gaps before a sample that tell the usual one.
USUAL_GAPS = 16
# A silence is longer than so many usual gaps.
SILENT_GAPS = 2


class SilenceFinder:
    """Finds silences in a series. short: samples before the series may tell otherwise."""

    def __init__(self, times: Sequence[datetime], stale_after: float) -> None:
        self.times = times
        self.stale_after = stale_after
        self.short = False

    def find(self, course: Course, low: int, high: int) -> dict[int, float]:
        """The silences before the accepted samples `low` to `high`: {sample: seconds}."""
        found = {}
        for index, before, gap in self._long_gaps(course, low, high):
            usual = self._usual_gap(before)
            if usual is None or gap > SILENT_GAPS * usual:
                found[index] = gap
        return found

    def _long_gaps(self, course: Course, low: int, high: int) -> Iterator[tuple[int, int, float]]:
        times = self.times
        place = bisect_left(course.left_out, low)
        for index in range(low, high):
            if place < len(course.left_out) and course.left_out[place] == index:
                place += 1
                continue
            before = course.last_before(index) if place and course.left_out[place - 1] == index - 1 else index - 1
            if before >= 0:
                gap = (times[index] - times[before]).total_seconds()
                if gap > self.stale_after:
                    yield index, before, gap

    def _usual_gap(self, index: int) -> float | None:
        """The median of the gaps between the samples up to one; None where there is none."""
        self.short |= index < USUAL_GAPS
        near = self.times[max(0, index - USUAL_GAPS) : index + 1]
        gaps = [(after - before).total_seconds() for before, after in pairwise(near)]
        return median(gaps) if gaps else None
