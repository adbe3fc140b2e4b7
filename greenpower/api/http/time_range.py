"""Ranges of time in parameters: ISO 8601, inclusive at both ends, UTC where no offset is given."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe

LONGEST = 40
PLAUSIBLE = re.compile(r"\d{4}-?\d\d-?\d\d([T ][\d:.,]+)?(Z|[+-][\d:]+)?", re.ASCII | re.IGNORECASE)
# A `+` that was not escaped arrives as a blank.
LOST_PLUS = re.compile(r"(.*[T ][\d:.,]+) ([\d:]+)", re.ASCII | re.IGNORECASE)


class Stamp(ma.fields.DateTime):
    """A time. MongoDB keeps milliseconds: finer stamps are moved inwards, up at the start and down at the end."""

    def __init__(self, *, up: bool = False, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)
        self.up = up

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            stamp = parse(str(value))
            fraction = stamp.microsecond % 1000
            if self.up and fraction:
                stamp += timedelta(microseconds=1000)
            return stamp - timedelta(microseconds=fraction)
        except (ValueError, OverflowError):
            raise ma.ValidationError(
                "Not an ISO 8601 time such as 2026-01-26T12:00:00Z or 2026-01-26T18:00:00+06:00."
            ) from None


def parse(text: str) -> datetime:
    """A time in UTC from ISO 8601. Raises ValueError, OverflowError."""
    if lost := LOST_PLUS.fullmatch(text):
        text = "+".join(lost.groups())
    if len(text) > LONGEST or not PLAUSIBLE.fullmatch(text):
        raise ValueError(text)
    stamp = datetime.fromisoformat(text.upper())
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


class RangeQuery(ma.Schema):
    """From when to when."""

    start_time = Stamp(up=True, metadata=describe("from this time on, ISO 8601, UTC where no offset is given"))
    end_time = Stamp(metadata=describe("up to this time, itself included"))

    @ma.validates_schema
    def _forward(self, data: dict[str, Any], **_: Any) -> None:
        start, end = data.get("start_time"), data.get("end_time")
        if start is not None and end is not None and end < start:
            raise ma.ValidationError("end_time lies before start_time.", "end_time")
