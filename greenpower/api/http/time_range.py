"""Time ranges in parameters: ISO 8601, inclusive at both ends, UTC if no offset is given."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe

MAX_TIME_LENGTH = 40
TIME_PATTERN = re.compile(r"\d{4}-?\d\d-?\d\d([T ][\d:.,]+)?(Z|[+-][\d:]+)?", re.ASCII | re.IGNORECASE)
# A `+` that was not escaped arrives as a space.
LOST_PLUS = re.compile(r"(.*[T ][\d:.,]+) ([\d:]+)", re.ASCII | re.IGNORECASE)


class TimeParameter(ma.fields.DateTime):
    """A time. MongoDB stores milliseconds: finer times are rounded into the range, up at its start, down at its end."""

    def __init__(self, *, round_up: bool = False, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)
        self.round_up = round_up

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            stamp = parse(str(value))
            fraction = stamp.microsecond % 1000
            if self.round_up and fraction:
                stamp += timedelta(microseconds=1000)
            return stamp - timedelta(microseconds=fraction)
        except (ValueError, OverflowError):
            text = f"{str(value)[:MAX_TIME_LENGTH]!r} is not an ISO 8601 time such as 2026-01-26T18:00:00+06:00."
            raise ma.ValidationError(text) from None


def parse(text: str) -> datetime:
    """A time in UTC from ISO 8601. Raises ValueError, OverflowError."""
    if lost := LOST_PLUS.fullmatch(text):
        text = "+".join(lost.groups())
    if len(text) > MAX_TIME_LENGTH or not TIME_PATTERN.fullmatch(text):
        raise ValueError(text)
    stamp = datetime.fromisoformat(text.upper())
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


class RangeQuery(ma.Schema):
    """A time range."""

    start_time = TimeParameter(
        round_up=True, metadata=describe("from this time, inclusive; ISO 8601, UTC if no offset is given")
    )
    end_time = TimeParameter(metadata=describe("up to this time, inclusive"))

    @ma.validates_schema
    def _ordered(self, data: dict[str, Any], **_: Any) -> None:
        start, end = data.get("start_time"), data.get("end_time")
        if start is not None and end is not None and end < start:
            text = f"end_time {end.isoformat()} is before start_time {start.isoformat()}."
            raise ma.ValidationError(text, "end_time")
