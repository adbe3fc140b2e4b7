"""`greenpower replay`: rebuild readings from their events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from greenpower.archive.hold import MonthArchivedError, hold_months
from greenpower.catalog.registry import Registry, get_registry
from greenpower.cli.time_option import EndOption, TimeOption
from greenpower.config import Settings, load_settings
from greenpower.datatype import DataType
from greenpower.ingest.replay.replay import Replay, Summary
from greenpower.mongo.archive.manifest import ManifestTakenError
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.version import check_at_start


@click.command()
@click.option("--type", "name", required=True, help="Data type.")
@click.option("--since", type=TimeOption(), required=True, help="First timestamp, ISO 8601, UTC if no offset is given.")
@click.option(
    "--until",
    type=EndOption(),
    default=None,
    help="First timestamp after the range; a date alone: to the end of that day. Default: now.",
)
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
def replay(name: str, since: datetime, until: datetime | None, dry_run: bool) -> None:
    """Rebuild readings from events with the current parser."""
    registry = get_registry()
    datatype = registry.get(name)
    if datatype is None:
        raise click.BadParameter(f"no data type {name!r}; there are {', '.join(item.name for item in registry)}")
    until = until or datetime.now(UTC)
    if since >= until:
        raise click.BadParameter("--since must be before --until")
    settings = load_settings()
    check_at_start(settings)
    with running(settings, "replay"), sync_client(settings) as client:
        try:
            with hold_months(client[settings.mongo_db_name], datatype, settings, since, until, datetime.now(UTC)):
                summary = asyncio.run(_run(settings, registry, datatype, since, until, dry_run))
        except (MonthArchivedError, ManifestTakenError) as error:
            raise click.ClickException(str(error)) from None
    _print(summary, dry_run)


async def _run(
    settings: Settings, registry: Registry, datatype: DataType, since: datetime, until: datetime, dry_run: bool
) -> Summary:
    async with async_client(settings) as client:
        job = Replay(
            registry=registry,
            settings=settings,
            db=client[settings.mongo_db_name],
            datatype=datatype,
            since=since,
            until=until,
        )
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task("events", total=await job.count())
            return await job.run(dry_run=dry_run, progress=lambda count: progress.advance(task, count))


def _print(summary: Summary, dry_run: bool) -> None:
    changes = summary.changes
    click.echo(f"{summary.events} events read, {summary.readings} fragments of readings in the span")
    for reason, count in sorted(summary.rejected.items()):
        click.echo(f"{count} events rejected: {reason}")
    would = "would be " if dry_run else ""
    click.echo(
        f"readings: {changes.added} {would}added, {changes.changed} {would}changed, "
        f"{changes.removed} {would}removed, {changes.same} the same"
    )
    if changes.expired:
        click.echo(f"{changes.expired} left as they are: some of their events have expired")
    if changes.imported:
        click.echo(f"{changes.imported} left as they are: they have values of imported files")
    if changes.touched:
        click.echo(f"{changes.touched} left as they are: written meanwhile, replay again")
