"""Demand: the average power over a quarter or half of an hour, its highest in a period, and the running one. Pure.

An interval whose energy includes a silence longer than itself does not say how high the power was: the energy is
averaged over the silence, so that a meter that comes back makes no peak. So is that of a meter that is read less often
than once an interval: over the intervals without samples right before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from greenpower.energy.amount import UNIT, Amount

SECONDS_PER_HOUR = 3_600
#: so much before a range is looked at; of a meter that is read less often the first interval tells too much
LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The average power of an interval. power: in the carrier's unit per hour (kW), exactly. averaged: over a
    time that is longer than the interval."""

    begin: datetime
    end: datetime
    power: Fraction
    averaged: bool
    final: bool
    undecided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakDemand:
    """The highest demand of a time: when its interval began, and its power as that of `Demand`."""

    begin: datetime
    power: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDemand:
    """The interval that has not ended. energy: billionths of the unit so far, as known at `known_until`. forecast: the
    average power at its end if it goes on as it did; None while nothing is known of it."""

    begin: datetime
    end: datetime
    known_until: datetime | None
    energy: int
    forecast: Fraction | None


def intervals(begin: datetime, end: datetime, minutes: int) -> list[datetime]:
    """The boundaries of the intervals between two times, which lie on quarter-hours; the last may be shorter."""
    step = timedelta(minutes=minutes)
    found = [begin]
    while found[-1] < end:
        found.append(min(found[-1] + step, end))
    return found


def averaged_over(silence_s: int, empty: int, minutes: int) -> int:
    """Over how many seconds the energy of an interval is averaged. empty: intervals right before without samples."""
    seconds = minutes * 60
    return silence_s if silence_s > seconds else seconds * (1 + empty)


def demands(
    boundaries: Sequence[datetime], amounts: Sequence[Amount], minutes: int, since: datetime | None = None
) -> Iterator[Demand]:
    """The power of each interval of which something is known, from a time on. Those up to `LOOK_BACK` before it tell
    how long the first one's energy took."""
    seconds = minutes * 60
    empty = 0
    for (begin, end), amount in zip(pairwise(boundaries), amounts, strict=True):
        if not amount.counted:
            empty += 1
            continue
        over = averaged_over(amount.silence_s, empty, minutes)
        averaged, empty = over > seconds, 0
        if since is not None and begin < since:
            continue
        yield Demand(
            begin=begin,
            end=end,
            power=Fraction(amount.energy * SECONDS_PER_HOUR, UNIT * over),
            averaged=averaged,
            final=amount.final,
            undecided=amount.undecided,
        )


def peak(found: Iterable[Demand]) -> Demand | None:
    """The highest; of several that are as high the first. None where nothing is known."""
    return max(found, key=lambda demand: demand.power, default=None)


def running(begin: datetime, end: datetime, amount: Amount, known_until: datetime | None) -> RunningDemand:
    """The interval that goes on. known_until: the time of the last sample in it; None where there is none."""
    forecast = None
    if amount.counted and known_until is not None and known_until > begin:
        seconds = Fraction((known_until - begin) // timedelta(milliseconds=1), 1000)
        forecast = Fraction(amount.energy * SECONDS_PER_HOUR, UNIT) / seconds
    return RunningDemand(begin=begin, end=end, known_until=known_until, energy=amount.energy, forecast=forecast)
