"""`greenpower rollups`: show the state of the tiers, update them now, compute a range again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from pymongo.database import Database
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from greenpower.archive.database import open_database
from greenpower.catalog.registry import get_registry
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import Settings, load_settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.rollups.lag import Lag, RangeLag, read_lags
from greenpower.mongo.rollups.ranges import name_ranges
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.mongo.schema.version import check_version
from greenpower.rollups.backfill import backfill as compute_anew
from greenpower.rollups.plan import TierPlan, make_plans
from greenpower.rollups.run import run_tier
from greenpower.rollups.tier_run import Counts

PIPE_WIDTH = 200


@click.group()
def rollups() -> None:
    """Show and compute the tiers."""


@rollups.command()
def status() -> None:
    """Show how far each tier and its device ranges are computed."""
    with _database() as (db, _):
        found = read_lags(db, get_registry(), datetime.now(UTC))
    table = Table(box=None, header_style="bold")
    for name in (
        "tier",
        "done until (UTC)",
        "behind",
        "to recompute",
        "oldest",
        "left alone",
        "last run (UTC)",
        "error",
    ):
        table.add_column(name, no_wrap=True)
    for lag in found:
        table.add_row(*_row(lag))
        for part in lag.ranges:
            table.add_row(*_range_row(part))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def _row(lag: Lag) -> tuple[str, ...]:
    return (
        f"{lag.type}/{lag.prefix}",
        _done_until(lag.watermark),
        "" if lag.behind is None else _span(lag.behind),
        str(lag.invalidations or ""),
        _span(lag.oldest) if lag.invalidations else "",
        str(lag.left_alone or ""),
        "" if lag.ran_at is None else f"{lag.ran_at:%Y-%m-%d %H:%M:%S}",
        lag.error,
    )


def _range_row(lag: RangeLag) -> tuple[str, ...]:
    return (
        f"  device ranges {name_ranges(lag.ranges)}",
        _done_until(lag.watermark),
        "" if lag.behind is None else _span(lag.behind),
        "",
        "",
        "",
        "",
        lag.error,
    )


def _done_until(watermark: datetime | None) -> str:
    return "never" if watermark is None else f"{watermark:%Y-%m-%d %H:%M}"


def _span(seconds: float) -> str:
    for length, letter in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f} {letter}"
    return f"{seconds:.0f} s"


@rollups.command()
@click.option("--type", "names", multiple=True, help="Only this data type. Can be repeated.")
def run(names: tuple[str, ...]) -> None:
    """Update all tiers now, without the worker."""
    with _database() as (db, settings):
        for datatype in [_type(name) for name in names] or list(get_registry()):
            for plan in make_plans(datatype, settings):
                began = time.monotonic()
                counts = run_tier(db, plan, settings)
                click.echo(f"{plan.name}: {_summary(counts)}, {time.monotonic() - began:.1f} s")


@rollups.command()
@click.option("--type", "name", required=True, help="Data type.")
@click.option("--tier", "prefix", help="Prefix of the first tier. Default: the finest.")
@click.option(
    "--since",
    type=TimeOption(),
    help="First time, ISO 8601, UTC if no offset is given. Default: as far back as data is kept.",
)
@click.option(
    "--until", type=EndOption(), help="First time after the range; a date alone: to the end of that day. Default: now."
)
def backfill(name: str, prefix: str | None, since: datetime | None, until: datetime | None) -> None:
    """Compute a range of a tier again, and all tiers above it.

    Without --tier, --since and --until, fields whose kind has changed are included.
    """
    datatype = _type(name)
    prefixes = [tier.prefix for tier in datatype.tiers]
    if prefix is not None and prefix not in prefixes:
        raise click.BadParameter(f"no tier {prefix!r}; {name} has {', '.join(prefixes) or 'none'}")
    if since is not None and until is not None and since >= until:
        raise click.BadParameter("--since must be before --until")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with _database() as (db, settings), Progress(*columns, console=Console(stderr=True)) as progress:
        bars: dict[str, tuple[int, float]] = {}

        def report(plan: TierPlan, begin: datetime, here: datetime, end: datetime, counts: Counts) -> None:
            if plan.name not in bars:
                bars[plan.name] = (progress.add_task(plan.name, total=1.0, rate=""), time.monotonic())
            bar, began = bars[plan.name]
            rate = counts.written / max(time.monotonic() - began, 1e-3)
            progress.update(progress.task_ids[bar], completed=(here - begin) / (end - begin), rate=f"{rate:,.0f}/s")

        began = time.monotonic()
        done = compute_anew(db, datatype, settings, prefix=prefix, since=since, until=until, report=report)
        seconds = time.monotonic() - began
    for tier, counts in done.items():
        click.echo(f"{tier}: {_summary(counts)}")
    click.echo(f"{sum(counts.written for counts in done.values())} buckets in {seconds:.1f} s")


def _summary(counts: Counts) -> str:
    parts = [f"{counts.written} written"]
    for number, what in (
        (counts.deleted, "deleted"),
        (counts.invalidations, "hours recomputed"),
        (counts.failed, "hours failed"),
        (counts.left_alone, "windows without a whole source"),
        (counts.stale, "older than what is stored"),
    ):
        if number:
            parts.append(f"{number} {what}")
    return ", ".join(parts)


def _type(name: str) -> DataType:
    datatype = get_registry().get(name)
    if datatype is None:
        raise click.BadParameter(f"no data type {name!r}; there are {', '.join(item.name for item in get_registry())}")
    return datatype


@contextmanager
def _database() -> Iterator[tuple[Database[Document], Settings]]:
    settings = load_settings()
    with running(settings, "rollups"), sync_client(settings) as client:
        held = client[settings.mongo_db_name]
        check_version(held)
        ensure_indexes(held, get_registry(), settings)
        yield open_database(client, settings), settings
