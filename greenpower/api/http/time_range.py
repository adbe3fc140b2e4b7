"""Time ranges in parameters: ISO 8601, inclusive at both ends; a date alone is the whole day.

What does not belong here: what a local time means (`greenpower.measure.local_time`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.measure.local_time import MAX_TIME_LENGTH, GivenTime

# A `+` that was not escaped arrives as a space.
LOST_PLUS = re.compile(r"(.*[T ][\d:.,]+) ([\d:]+)", re.ASCII | re.IGNORECASE)
MILLISECOND = timedelta(milliseconds=1)


class TimeParameter(ma.fields.DateTime):
    """A time, loaded as it was given: what moment it means depends on the zone of the range."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = str(value)
        if lost := LOST_PLUS.fullmatch(text):
            text = "+".join(lost.groups())
        try:
            return GivenTime.parse(text)
        except ValueError:
            raise ma.ValidationError(_not_a_time(text)) from None


class RangeQuery(ma.Schema):
    """A time range. Loads `start_time` and `end_time` as its first and its last moment, in UTC.

    MongoDB stores milliseconds: finer times are rounded into the range, up at its start, down at its end.
    """

    start_time = TimeParameter(
        metadata=describe("from this time, inclusive; ISO 8601, UTC if no offset is given; a date alone: its midnight")
    )
    end_time = TimeParameter(metadata=describe("up to this time, inclusive; a date alone: to the end of that day"))

    def zone(self, data: dict[str, Any]) -> tzinfo:
        """The zone of times that have no offset."""
        return UTC

    @ma.post_load
    def _load_range(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        zone, moments = self.zone(data), {}
        for name in ("start_time", "end_time"):
            given = data.get(name)
            if given is not None:
                try:
                    moments[name] = _start(given, zone) if name == "start_time" else _last(given, zone)
                except OverflowError:
                    raise ma.ValidationError(_not_a_time(given.stamp.isoformat()), name) from None
        if len(moments) == 2 and moments["end_time"] < moments["start_time"]:
            start, end = (moments[name].astimezone(zone).isoformat() for name in ("start_time", "end_time"))
            raise ma.ValidationError(f"end_time {end} is before start_time {start}.", "end_time")
        return {**data, **moments}


def _start(given: GivenTime, zone: tzinfo) -> datetime:
    moment = given.start(zone)
    fraction = timedelta(microseconds=moment.microsecond % 1000)
    return moment - fraction + MILLISECOND if fraction else moment


def _last(given: GivenTime, zone: tzinfo) -> datetime:
    moment = given.last(zone)
    return moment if given.is_date else moment - timedelta(microseconds=moment.microsecond % 1000)


def _not_a_time(text: str) -> str:
    return f"{text[:MAX_TIME_LENGTH]!r} is not an ISO 8601 time such as 2026-01-26T18:00:00+06:00."
