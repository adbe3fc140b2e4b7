"""Times as options of a command: ISO 8601, UTC if no offset is given; a date alone is the whole day."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from greenpower.measure.local_time import GivenTime


class TimeOption(click.ParamType[datetime]):
    """A time, as UTC; of a date its midnight."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return self.moment(GivenTime.parse(str(value)))
        except (ValueError, OverflowError):
            self.fail(f"{value} is not a time such as 2026-11-25T13:00 (ISO 8601)", param, ctx)

    def moment(self, given: GivenTime) -> datetime:
        """The moment that is meant."""
        return given.start(UTC)


class EndOption(TimeOption):
    """The end of a range, as UTC; of a date the end of that day. included: whether the range includes the time."""

    def __init__(self, *, included: bool = False) -> None:
        self.included = included

    def moment(self, given: GivenTime) -> datetime:
        return given.last(UTC) if self.included else given.end(UTC)
