"""Calendar months of a place, and the intervals in them over which demand is averaged. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from greenpower.energy.demand import intervals
from greenpower.measure.local_time import start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A calendar month. first: its first day. begin, end: UTC."""

    first: date
    begin: datetime
    end: datetime

    @property
    def following(self) -> date:
        """The first day of the month after it."""
        return (self.first + timedelta(days=32)).replace(day=1)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.following - timedelta(days=1)

    def intervals(self, minutes: int) -> list[datetime]:
        """The boundaries of its intervals."""
        return intervals(self.begin, self.end, minutes)


def months(begin: datetime, end: datetime, zone: ZoneInfo) -> list[Month]:
    """The months that overlap a range, in order."""
    found: list[Month] = []
    first = begin.astimezone(zone).date().replace(day=1)
    while True:
        month = month_from(first, zone)
        if month.begin >= end:
            return found
        if month.end > begin:
            found.append(month)
        first = month.following


def month_from(first: date, zone: ZoneInfo) -> Month:
    """The month that begins on a day."""
    following = (first + timedelta(days=32)).replace(day=1)
    return Month(first=first, begin=_midnight(first, zone), end=_midnight(following, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return start_of(datetime.combine(day, time.min), zone)
