"""Tables and times as text, for commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import click


def shown_time(time: datetime | None) -> str:
    """A time in UTC as a cell, empty where there is none."""
    return "" if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings, each column as wide as it needs."""
    table = [headings, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
