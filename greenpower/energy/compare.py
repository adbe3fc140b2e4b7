"""The range that a range is compared with, aligned in local time. Pure.

previous    the same number of buckets right before
year_ago    the same calendar days a year before; 29 February becomes 28 February
same_days   the same days of the week, 52 weeks before
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from greenpower.energy.calendar import Unit, boundaries
from greenpower.measure.local_time import start_of


class Comparison(StrEnum):
    """With what a range is compared."""

    PREVIOUS = "previous"
    YEAR_AGO = "year_ago"
    SAME_DAYS = "same_days"


def compared(asked: Sequence[datetime], unit: Unit, zone: ZoneInfo, how: Comparison) -> list[datetime]:
    """The boundaries that belong to some boundaries of calendar buckets. Raises OverflowError.

    There may be one more or less of them than were asked for: a leap year has a day more.
    """
    if how is Comparison.PREVIOUS:
        count = len(asked) - 1
        lengths = {Unit.HOUR: timedelta(hours=1), Unit.DAY: timedelta(days=1), Unit.WEEK: timedelta(days=7)}
        longest = lengths.get(unit, timedelta(days=31 if unit is Unit.MONTH else 366))
        begin = asked[0] - longest * (count + 1) - timedelta(days=1)
        return boundaries(begin, asked[0], unit, zone)[-count - 1 :]
    ends = [moved(boundary, zone, how) for boundary in (asked[0], asked[-1])]
    return boundaries(ends[0], ends[1], unit, zone)


def moved(time: datetime, zone: ZoneInfo, how: Comparison) -> datetime:
    """A moment as far back as a comparison goes, at the same local time."""
    local = time.astimezone(zone).replace(tzinfo=None)
    if how is Comparison.SAME_DAYS:
        back = local - timedelta(weeks=52)
    elif (local.month, local.day) == (2, 29):
        back = local.replace(year=local.year - 1, day=28)
    else:
        back = local.replace(year=local.year - 1)
    return start_of(back, zone).astimezone(UTC)
