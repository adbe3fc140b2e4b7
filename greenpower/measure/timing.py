"""Timings: when the samples of a stretch were, and for how long their values hold. Shared by fields that came together.

A value holds until the next sample of its field, at most its hold limit (`hold_limit`). The segments at the edges of a
window are not in a timing, since they are other ones in a larger window: they are added when a value is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class Timing(NamedTuple):
    """The samples of a stretch. n: how many. first_at, last_at: the first and the last. held: for how many seconds
    between these their values hold. hold: for how many seconds the last one does, if none follows. lead_until: until
    when the sample before `first_at` holds, `first_at` at most; None where none is known."""

    n: int
    first_at: datetime
    last_at: datetime
    held: float
    hold: float
    lead_until: datetime | None


class Seconds(NamedTuple):
    """How much of a window values hold: what came before its first sample, those between first and last, the last."""

    lead: float
    held: float
    last: float

    @property
    def total(self) -> float:
        return self.lead + self.held + self.last


def seconds_within(timing: Timing, begin: datetime, end: datetime, *, over: bool) -> Seconds:
    """How much of the window `[begin, end)` values hold. over: the last value holds on in it; else the window is open,
    and it goes to its last sample."""
    lead = last = 0.0
    if timing.lead_until is not None and timing.lead_until > begin:
        lead = (min(timing.lead_until, timing.first_at) - begin).total_seconds()
    if over:
        last = max(0.0, min((end - timing.last_at).total_seconds(), timing.hold))
    return Seconds(lead, timing.held, last)


def merge_timings(timings: Sequence[Timing]) -> tuple[Timing, list[float]]:
    """The timing of adjacent stretches, in order, and the seconds that the last value of each but the last holds."""
    if len(timings) == 1:
        return timings[0], []
    before = timings[0]
    held, n, gaps = before.held, before.n, []
    for timing in timings[1:]:
        gap = max(0.0, min((timing.first_at - before.last_at).total_seconds(), before.hold))
        gaps.append(gap)
        held += gap + timing.held
        n += timing.n
        before = timing
    first = timings[0]
    return Timing(n, first.first_at, before.last_at, held, before.hold, first.lead_until), gaps


def lead_until(lead_at: datetime, limit: float, first_at: datetime) -> datetime:
    """Until when a sample before the first one holds."""
    # A limit may be longer than any calendar.
    return first_at if (first_at - lead_at).total_seconds() <= limit else lead_at + timedelta(seconds=limit)
