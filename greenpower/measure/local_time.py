"""Times as people give them, and the moments that they mean in a zone. Pure.

What belongs here: ISO 8601 text, clock changes, and what a local time means at a start or an end. What does not:
calendar buckets (`greenpower.energy.calendar`), parameters and options (`greenpower.api.http.time_range`,
`greenpower.cli`), stamps of devices (`greenpower.datatype.stamp`).

A local time at a start is the first moment at which the clock shows that time or a later one. At an end it is the last
moment until which the clock showed an earlier time. Clock changes make a difference there:

    02:00 to 03:00 is skipped     02:30 is the end of the gap, at a start and at an end
    02:00 to 03:00 comes twice    02:30 is the first one at a start, and the second one at an end;
                                  02:00 is the first one at both: what is before it ends there
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

MAX_TIME_LENGTH = 40
DATE_PATTERN = re.compile(r"\d{4}-?\d\d-?\d\d", re.ASCII)
TIME_PATTERN = re.compile(DATE_PATTERN.pattern + r"([T ][\d:.,]+(Z|[+-][\d:]+)?)?", re.ASCII | re.IGNORECASE)
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTime:
    """A time that somebody gave. stamp: naive, or aware if an offset was given; is_date: it is a date alone, and stamp
    its midnight. A date alone is the whole day.

    All methods return UTC, and raise OverflowError at the ends of the calendar. A stamp with an offset is itself,
    whatever the zone.
    """

    stamp: datetime
    is_date: bool = False

    @classmethod
    def parse(cls, text: str) -> GivenTime:
        """From ISO 8601: a date, or a date and a time, with an offset or without one. Raises ValueError."""
        if len(text) > MAX_TIME_LENGTH or not TIME_PATTERN.fullmatch(text):
            raise ValueError(text)
        return cls(stamp=datetime.fromisoformat(text.upper()), is_date=bool(DATE_PATTERN.fullmatch(text)))

    def start(self, zone: tzinfo) -> datetime:
        """The first moment of a range that starts with this."""
        return start_of(self.stamp, zone) if self.stamp.tzinfo is None else self.stamp.astimezone(UTC)

    def end(self, zone: tzinfo) -> datetime:
        """The first moment after a range that ends before this time, or with this day."""
        if self.stamp.tzinfo is not None:
            return self.stamp.astimezone(UTC)
        return day_end(self.stamp.date(), zone) if self.is_date else end_of(self.stamp, zone)

    def last(self, zone: tzinfo) -> datetime:
        """The last moment of a range that includes this time, or this day."""
        return self.end(zone) - timedelta(microseconds=1) if self.is_date else self.end(zone)


def start_of(local: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, at which a range begins that starts at a local time. local: naive."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return moment if _clock(moment, zone) == local else _end_of_gap(local, zone)


def end_of(local: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, at which a range is over that ends at a local time. local: naive."""
    moment = start_of(local, zone)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if second <= moment:
        return moment
    return second if _clock(second - timedelta(microseconds=1), zone) < local else moment


def day_end(day: date, zone: tzinfo) -> datetime:
    """The local midnight, in UTC, that ends a day; on the last day of the calendar the end of the calendar."""
    if day == date.max:
        return datetime.max.replace(tzinfo=zone).astimezone(UTC)
    return start_of(datetime.combine(day + ONE_DAY, time.min), zone)


def clock_change(after: datetime, until: datetime, zone: tzinfo) -> datetime | None:
    """The first moment, in UTC, from which the offset of a zone is no longer that of `after`. None if it is the same at
    `until`. Both are aware, and near enough for one change to lie between them; changes are at whole seconds."""
    low, high = (moment.astimezone(UTC).replace(microsecond=0) for moment in (after, until))
    offset = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == offset:
        return None
    while high - low > ONE_SECOND:
        middle = low + (high - low) // ONE_SECOND // 2 * ONE_SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _clock(moment: datetime, zone: tzinfo) -> datetime:
    """What the clock shows at a moment, naive."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _end_of_gap(local: datetime, zone: tzinfo) -> datetime:
    """The end of the gap that a local time lies in: the clock change between what it would be before and after it."""
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    change = clock_change(before, after, zone)
    return after if change is None else change
