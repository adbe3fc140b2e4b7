"""`greenpower points availability`: of how much of the time meter points have data, as a table or as CSV.

What does not belong here: what counts as missing (`greenpower.energy.availability`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import click

from greenpower.api.http.csv_text import csv_lines
from greenpower.catalog.registry import get_registry
from greenpower.cli.sql import sql_database
from greenpower.cli.table import print_table
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import Settings, load_settings
from greenpower.energy.availability import MissingReason
from greenpower.energy.availability_reader import PointAvailability, read_availability, reader_range
from greenpower.energy.calendar import Unit, boundaries, label
from greenpower.energy.point_reader import PointReader
from greenpower.energy.site import read_site
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import floor
from greenpower.mongo.client import sync_client
from greenpower.sql.extensions import db

DEFAULT_RANGE = timedelta(days=365)
HEADINGS = ("month", "id", "name", "expected", "available", "percent")


@click.command()
@click.option("--from", "since", type=TimeOption(), help="From the month of this time on; default: a year ago.")
@click.option("--until", type=EndOption(), help="Up to the month of this time; default: now.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, with a column for each reason.")
def availability(since: datetime | None, until: datetime | None, as_csv: bool) -> None:
    """Show how much data meter points have, by month.

    Percent of the quarter-hours that have passed, and why the others have no data.
    """
    settings = load_settings()
    now = datetime.now(UTC)
    end = now if until is None else until
    begin = end - DEFAULT_RANGE if since is None else since
    if begin >= end:
        raise click.BadParameter("it must be before --until", param_hint="--from")
    zone = ZoneInfo(settings.device_timezone)
    months = [floor(month, QUARTER_SECONDS) for month in boundaries(begin, end, Unit.MONTH, zone)]
    rows = [
        (label(months[place], Unit.MONTH, zone), one, place)
        for one in _read(settings, months, now)
        for place in range(len(months) - 1)
    ]
    if as_csv:
        lines = csv_lines([(*HEADINGS, *(reason.value for reason in MissingReason)), *map(_csv_row, rows)])
        click.echo(lines, nl=False)
        return
    print_table((*HEADINGS, "why the rest is missing"), list(map(_row, rows)))


def _read(settings: Settings, months: list[datetime], now: datetime) -> Iterator[PointAvailability]:
    """Point by point, so that memory does not grow with the site."""
    with sql_database(settings), sync_client(settings) as client:
        points = read_site(db.session).points.values()
        db.session.rollback()
        database = client[settings.mongo_db_name]
        for point in points:
            reader = PointReader(database, get_registry(), settings, [point], reader_range(months), now)
            yield from read_availability(reader, months)


def _row(row: tuple[str, PointAvailability, int]) -> tuple[str, ...]:
    month, one, place = row
    bucket = one.buckets[place]
    why = ", ".join(f"{reason.value} {bucket.missing[reason]}" for reason in MissingReason if bucket.missing[reason])
    percent = "" if bucket.percent is None else f"{bucket.percent:.2f}"
    head = (month, str(one.point.number), one.point.name, str(bucket.expected), str(bucket.available))
    return (*head, percent, why)


def _csv_row(row: tuple[str, PointAvailability, int]) -> list[object]:
    month, one, place = row
    bucket = one.buckets[place]
    head = [month, one.point.number, one.point.name, bucket.expected, bucket.available, bucket.percent]
    return [*head, *(bucket.missing[reason] for reason in MissingReason)]
