"""Periods of reports: weeks and months, by their names, and which one is due. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from greenpower.energy.calendar import Unit, boundaries, label
from greenpower.measure.local_time import start_of

REPORT_UNITS = (Unit.WEEK, Unit.MONTH)
WEEK_NAME = re.compile(r"(\d{4})-W(\d{2})")
MONTH_NAME = re.compile(r"(\d{4})-(\d{2})")
# So long after its end the readings of a period are awaited: devices send late, rollups follow.
SETTLES_AFTER = timedelta(hours=6)
# A schedule makes up for so many periods that were missed, the newest ones.
MAX_MADE_UP = 3


class PeriodError(ValueError):
    """A period that cannot be read. The text is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPeriod:
    """A week or a month. begin, end: UTC."""

    unit: Unit
    name: str
    begin: datetime
    end: datetime


def period_at(moment: datetime, unit: Unit, zone: ZoneInfo) -> ReportPeriod:
    """The period that a moment lies in. Raises PeriodError at the ends of the calendar."""
    try:
        begin, end = boundaries(moment, moment, unit, zone)[:2]
        return ReportPeriod(unit=unit, name=label(begin, unit, zone), begin=begin, end=end)
    except (OverflowError, ValueError):
        raise PeriodError("The calendar ends there.") from None


def read_period(text: str, unit: Unit, zone: ZoneInfo) -> ReportPeriod:
    """The period of a name, such as 2026-W44 or 2026-10, or of a day in it. Raises PeriodError."""
    try:
        if unit is Unit.WEEK and (found := WEEK_NAME.fullmatch(text)):
            day = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        elif unit is Unit.MONTH and (found := MONTH_NAME.fullmatch(text)):
            day = date(int(found[1]), int(found[2]), 1)
        else:
            day = date.fromisoformat(text)
    except ValueError:
        example = "2026-W44" if unit is Unit.WEEK else "2026-10"
        raise PeriodError(f"Give a {unit.value} such as {example}, or a day in it.") from None
    try:
        return period_at(start_of(datetime.combine(day, time.min), zone), unit, zone)
    except OverflowError:
        raise PeriodError("The calendar ends there.") from None


def period_before(period: ReportPeriod, zone: ZoneInfo) -> ReportPeriod:
    """The period right before another."""
    return period_at(period.begin - timedelta(seconds=1), period.unit, zone)


def last_ended(now: datetime, unit: Unit, zone: ZoneInfo) -> ReportPeriod:
    """The newest period that has ended."""
    return period_before(period_at(now, unit, zone), zone)


def due_periods(
    now: datetime, unit: Unit, zone: ZoneInfo, *, since: datetime, done: datetime | None
) -> list[ReportPeriod]:
    """The periods that are to be reported, oldest first. since: when the schedule was made; periods that ended before
    are not its. done: the end of the newest period that was reported. Of more than `MAX_MADE_UP` the newest."""
    found: list[ReportPeriod] = []
    period = last_ended(now - SETTLES_AFTER, unit, zone)
    while period.end > since and (done is None or period.end > done) and len(found) < MAX_MADE_UP:
        found.append(period)
        period = period_before(period, zone)
    return found[::-1]
