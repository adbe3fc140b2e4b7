"""A counter's samples in order of time, ready for the rules: bursts are one sample, a register known before is one.

What belongs here: which numbers of a column are samples, and where they are in it. What does not: which of them are
accepted (`passage`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenpower.measure.column import Column
from greenpower.measure.counter.hold import Carry, Hold
from greenpower.measure.state import Number

# Readings whose time is that of their arrival and that came faster than this were kept somewhere and sent at once.
BURST_GAP = timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Series:
    """Samples of a counter. start: the samples before it only show what the register usually does.

    hold: the open fall at `start`. known: the register before `start`, by index; None where none is. picks: the numbers
    of the column that are samples; None: all. inserted: the sample that is not of the column, but a register that was
    known before. unmeasured: steps whose duration nobody knows.
    """

    values: Sequence[Number]
    times: Sequence[datetime]
    start: int = 0
    hold: Hold | None = None
    known: int | None = None
    picks: list[int] | None = None
    inserted: int | None = None
    unmeasured: frozenset[int] = field(default_factory=frozenset)

    def index(self, place: int) -> int:
        """The first sample that is not before a number of the column."""
        index = place if self.picks is None else bisect_left(self.picks, place)
        return index if self.inserted is None or index < self.inserted else index + 1


def make_series(
    column: Column, times: Sequence[datetime], arrivals: Sequence[bool] | None = None, carry: Carry | None = None
) -> Series:
    """The samples of a column. times: of its numbers. arrivals: by reading, whether its time is that of arrival."""
    series = Series(values=column.values, times=times)
    if arrivals is not None:
        arrived = arrivals if column.where is None else [arrivals[reading] for reading in column.where]
        _join_bursts(series, arrived, carry is None)
    if carry is not None:
        _continue_from(series, carry)
    return series


def _join_bursts(series: Series, arrived: Sequence[bool], first: bool) -> None:
    """Leave out all of a burst but its last. first: nothing is known before the series."""
    values, times = series.values, series.times
    inner = [
        index
        for index in range(len(times) - 1)
        if arrived[index] and arrived[index + 1] and times[index + 1] - times[index] < BURST_GAP
    ]
    if not inner:
        return
    left_out = set(inner)
    if first and 0 in left_out:
        # What was counted before the burst is not known, but what was counted within it is.
        left_out.discard(0)
        series.unmeasured = frozenset({1})
    picks = [index for index in range(len(times)) if index not in left_out]
    series.picks = picks
    series.values = [values[index] for index in picks]
    series.times = [times[index] for index in picks]


def _continue_from(series: Series, carry: Carry) -> None:
    """Begin after a register that is known. Where its sample is not in the series it is put there."""
    place = bisect_left(series.times, carry.at)
    if place == len(series.times) or series.times[place] != carry.at:
        series.values = [*series.values[:place], carry.value, *series.values[place:]]
        series.times = [*series.times[:place], carry.at, *series.times[place:]]
        series.inserted = place
    series.known, series.start, series.hold = place, place + 1, carry.hold
