"""A time as an option of a command."""

from __future__ import annotations

from datetime import UTC, datetime

import click


class TimeOption(click.ParamType[datetime]):
    """An ISO 8601 time, as UTC; without an offset it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value} is not a time such as 2026-11-25T13:00 (ISO 8601)", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
