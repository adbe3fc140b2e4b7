"""The mean day of a meter point: average power by local time of day, for each kind of day. Pure, exact.

What was counted in a quarter-hour is spread over it and the quarter-hours without samples right before it, so a meter
that is read each half-hour has a profile like others. Where these are longer than an hour, nobody knows when the energy
was used: neither it nor the time is in the profile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from greenpower.energy.amount import UNIT, Amount

#: lengths of the parts of a day, in minutes
PROFILE_MINUTES = (15, 30, 60)
#: over which energy is spread at most
MAX_SPREAD = timedelta(hours=1)
MINUTES_PER_DAY = 24 * 60


class DayKind(StrEnum):
    """Days of the week that are alike."""

    WORKDAY = "workday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @classmethod
    def of(cls, local: datetime) -> DayKind:
        """The kind of a local day."""
        return {5: cls.SATURDAY, 6: cls.SUNDAY}.get(local.weekday(), cls.WORKDAY)


@dataclass(slots=True)
class _ProfileSum:
    energy: Fraction = Fraction(0)
    time: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePart:
    """A part of the mean day. minute: its begin, since local midnight. power: average, in the unit per hour; None where
    nothing is known. hours: of which it is the average."""

    minute: int
    power: Fraction | None
    hours: Fraction


def profile(
    cuts: Sequence[datetime], amounts: Sequence[Amount], since: datetime, zone: ZoneInfo, minutes: int
) -> dict[DayKind, list[ProfilePart]]:
    """The mean day of each kind, from a time on. cuts: boundaries of quarter-hours, from `MAX_SPREAD` before that time
    on; amounts: between them, of those that are over."""
    sums = {kind: [_ProfileSum() for _ in range(0, MINUTES_PER_DAY, minutes)] for kind in DayKind}
    for begin, end, energy in _spread(cuts, amounts):
        if begin < since:
            continue
        local = begin.astimezone(zone)
        found = sums[DayKind.of(local)][(local.hour * 60 + local.minute) // minutes]
        found.energy += energy
        found.time += end - begin
    return {
        kind: [_part(number * minutes, found) for number, found in enumerate(several)] for kind, several in sums.items()
    }


def _spread(cuts: Sequence[datetime], amounts: Sequence[Amount]) -> Iterator[tuple[datetime, datetime, Fraction]]:
    """The quarter-hours of which something is known, with their energy in billionths."""
    waiting: list[tuple[datetime, datetime]] = []
    is_known = False
    for (begin, end), amount in zip(pairwise(cuts), amounts, strict=True):
        waiting.append((begin, end))
        if not amount.counted:
            continue
        if is_known and end - waiting[0][0] <= MAX_SPREAD:
            for item in waiting:
                yield *item, Fraction(amount.energy, len(waiting))
        is_known = True
        waiting = []


def _part(minute: int, found: _ProfileSum) -> ProfilePart:
    hours = Fraction(found.time // timedelta(seconds=1), 3600)
    return ProfilePart(minute=minute, power=found.energy / UNIT / hours if hours else None, hours=hours)
