"""For how long the values of a device hold, in a stretch that is rolled up: its readings, and the samples of a field.

What does not belong here: how long a value may hold (`greenpower.measure.hold_limit`), what is made of it (`held`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from greenpower.measure.hold_limit import gaps_between, hold_limits
from greenpower.measure.timing import Timing, lead_until


class HeldTimes:
    """How long the values of a device's readings hold. known: its readings without a gap, the last of which are those
    of the stretch, `low` to `high` of times; None where times are all that is known. holds: in seconds by time, of
    readings before the stretch whose own gaps are not known."""

    def __init__(
        self,
        times: Sequence[datetime],
        low: int,
        high: int,
        known: Sequence[datetime] | None,
        stale_after: float,
        holds: Mapping[datetime, float],
    ) -> None:
        self.times, self.low, self.high = times, low, high
        self.holds = holds
        self.known = times[:high] if known is None else known
        self.offset = len(self.known) - high
        self.stale_after = stale_after

    @cached_property
    def gaps(self) -> list[float]:
        """The seconds between the readings that are known."""
        return gaps_between(self.known)

    @cached_property
    def limits(self) -> list[float]:
        """How long the values of each of these may hold."""
        return hold_limits(self.gaps, self.stale_after)

    def readings(self) -> HeldTrack:
        """The readings of the stretch, and the one before it."""
        first = self.low + self.offset
        gaps, limits = self.gaps[first:], self.limits[first:]
        lead = None if not first else self._limit(first - 1)
        return HeldTrack(self.times[self.low : self.high], limits, list(map(min, gaps, limits)), lead)

    def samples(self, where: Sequence[int]) -> HeldTrack:
        """The samples that are of some readings."""
        begin, end = bisect_left(where, self.low), bisect_left(where, self.high)
        inside = where[begin:end]
        times = [self.times[index] for index in inside]
        limits = [self.limits[index + self.offset] for index in inside]
        lead = None if not begin else self._lead(where[begin - 1])
        return HeldTrack(times, limits, list(map(min, gaps_between(times), limits)), lead)

    def before(self) -> tuple[datetime, float] | None:
        """The reading before the stretch, if it is one of those that are given."""
        return self._lead(self.low - 1) if self.low else None

    def limit(self, index: int) -> float:
        """For how many seconds the values of a reading may hold. index: in times, before `high`."""
        return self._lead(index)[1]

    def _lead(self, index: int) -> tuple[datetime, float]:
        time = self.times[index]
        place = bisect_left(self.known, time)
        return self._limit(place) if self.known[place] == time else (time, self.holds.get(time, self.stale_after))

    def _limit(self, place: int) -> tuple[datetime, float]:
        time = self.known[place]
        return time, self.holds.get(time, self.limits[place])


@dataclass(frozen=True, slots=True)
class HeldTrack:
    """Samples of a stretch. limits: how long each may hold; held: how long each but the last holds, in seconds. lead:
    the time of the one before them, and how long it may hold."""

    times: Sequence[datetime]
    limits: Sequence[float]
    held: Sequence[float]
    lead: tuple[datetime, float] | None

    def after(self, lead: tuple[datetime, float] | None) -> HeldTrack:
        """The same with another sample before."""
        return HeldTrack(self.times, self.limits, self.held, lead)

    def timings(self, places: Sequence[tuple[int, int]]) -> list[Timing | None]:
        """The timing of each window. places: its first sample, and the one past its last."""
        found: list[Timing | None] = []
        times, limits = self.times, self.limits
        for begin, end in places:
            if begin == end:
                found.append(None)
                continue
            first = times[begin]
            before = (times[begin - 1], limits[begin - 1]) if begin else self.lead
            until = None if before is None else lead_until(*before, first)
            held = sum(self.held[begin : end - 1]) if end - begin > 1 else 0.0
            found.append(Timing(end - begin, first, times[end - 1], held, limits[end - 1], until))
        return found
