"""The calendar of a place: where its hours, days, ISO weeks, months and years begin, in UTC. Pure.

A day that starts in the gap of a clock change starts at the end of the gap. A clock change begins an hour: an hour that
occurs twice is two, and in a zone that changes by half an hour there are hours of 30 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from greenpower.measure.local_time import clock_change, start_of

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Unit(StrEnum):
    """A length of calendar buckets."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


# How far back a range without a start goes.
DEFAULT_RANGES: dict[Unit, timedelta] = {
    Unit.HOUR: 2 * DAY,
    Unit.DAY: 30 * DAY,
    Unit.WEEK: 84 * DAY,
    Unit.MONTH: 365 * DAY,
    Unit.YEAR: 1826 * DAY,
}
# The shortest that a bucket can be, with a clock change in it.
SHORTEST_LENGTHS: dict[Unit, timedelta] = {
    Unit.HOUR: HOUR,
    Unit.DAY: 23 * HOUR,
    Unit.WEEK: 7 * DAY - HOUR,
    Unit.MONTH: 28 * DAY - HOUR,
    Unit.YEAR: 365 * DAY - HOUR,
}


def boundaries(start: datetime, end: datetime, unit: Unit, zone: ZoneInfo) -> list[datetime]:
    """The boundaries, in UTC and in order, of all units that overlap `[start, end)`: one more than there are units.

    Raises OverflowError at the ends of the calendar.
    """
    found: list[datetime] = []
    for boundary in _onward(start.astimezone(zone), unit, zone):
        if boundary <= start:
            found = [boundary]
        elif not found or boundary > found[-1]:
            found.append(boundary)
        if boundary >= end and len(found) > 1:
            break
    return found


def local_text(time: datetime, zone: ZoneInfo) -> str:
    """A time as the clock of a place shows it, ISO 8601 with its offset; in UTC where that has seconds, as before 1900,
    since no offset in ISO 8601 has."""
    local = time.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    return (time.astimezone(UTC) if offset % timedelta(minutes=1) else local).isoformat()


def label(boundary: datetime, unit: Unit, zone: ZoneInfo) -> str:
    """What people call the unit that begins at a boundary: 2026-03-29T02:00+01:00, 2026-03-29, 2026-W13, 2026-03."""
    local = boundary.astimezone(zone)
    if unit is Unit.HOUR:
        return local.isoformat(timespec="minutes")
    if unit is Unit.WEEK:
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02}"
    return f"{local:%Y-%m-%d}"[: {Unit.DAY: 10, Unit.MONTH: 7, Unit.YEAR: 4}[unit]]


def _onward(local: datetime, unit: Unit, zone: ZoneInfo) -> Iterator[datetime]:
    """Boundaries from one at or before a time on."""
    if unit is Unit.HOUR:
        yield from _hours(local.astimezone(UTC), zone)
    day = local.date()
    while True:
        first = _first(day, unit)
        yield start_of(datetime.combine(first, time.min), zone)
        day = first + {Unit.DAY: DAY, Unit.WEEK: 7 * DAY, Unit.MONTH: 32 * DAY, Unit.YEAR: 366 * DAY}[unit]


def _first(day: date, unit: Unit) -> date:
    """The first day of the unit that a day lies in."""
    if unit is Unit.WEEK:
        return day - day.weekday() * DAY
    if unit is Unit.MONTH:
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit is Unit.YEAR else day


def _hours(moment: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The start of the hour that a moment lies in, and the starts of all hours after it."""
    clock = moment.astimezone(zone)
    begun = moment - timedelta(minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)
    start = clock_change(begun, moment, zone) or begun
    while True:
        yield start
        clock = start.astimezone(zone)
        over = start + HOUR - timedelta(minutes=clock.minute, seconds=clock.second)
        start = clock_change(start, over, zone) or over
