"""`greenpower archive`: move old readings into Parquet files, check the files, write readings back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from pymongo.database import Database
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.table import Table

from greenpower.archive.errors import ArchiveFileError
from greenpower.archive.months import last_month_end
from greenpower.archive.restore import restore_month
from greenpower.archive.run import run_archive
from greenpower.archive.verify import verify_archive
from greenpower.catalog.registry import get_registry
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.datatype import DataType
from greenpower.mongo.archive.manifest import ManifestTakenError, read_months
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST, ensure_indexes
from greenpower.mongo.schema.version import check_version
from greenpower.private_files import private_files

TYPES = click.option("--type", "names", multiple=True, help="Only this data type. Can be repeated.")
STATUS_WIDTH = 160


@click.group()
def archive() -> None:
    """Move old readings into Parquet files, and back."""


@archive.command()
@TYPES
def run(names: tuple[str, ...]) -> None:
    """Move whole months that are old enough into files.

    A run writes and compares. A later one, at least ten minutes after, deletes from MongoDB what the files have. A
    month that was archived before gets what came since.
    """
    with _database() as (db, settings):
        if not settings.archive_after_days:
            raise ConfigError("ARCHIVE_AFTER_DAYS is 0: nothing is archived")
        click.echo(f"months until {last_month_end(settings, datetime.now(UTC)):%Y-%m-%d} are archived")
        for datatype in _types(names):
            began = time.monotonic()
            counts = run_archive(db, datatype, settings)
            done = f"{counts.archived} readings archived, {counts.deleted} deleted from MongoDB"
            click.echo(f"{datatype.name}: {done}, {time.monotonic() - began:.1f} s")


@archive.command()
@TYPES
def status(names: tuple[str, ...]) -> None:
    """Show the archived months."""
    wanted = {datatype.name for datatype in _types(names)}
    table = Table(box=None, header_style="bold")
    for name in ("type", "month", "readings", "files", "bytes", "bytes per reading", "still in MongoDB as well"):
        table.add_column(name, no_wrap=True)
    with _database() as (db, _):
        for month in read_months(db[ARCHIVE_MANIFEST]):
            if month["type"] not in wanted or not (files := month["files"]):
                continue
            rows, size = sum(file["rows"] for file in files), sum(file["size"] for file in files)
            waiting = sum(file["rows"] for file in files if not file["cleared"])
            values = (month["type"], f"{month['month']:%Y-%m}", rows, len(files), size, f"{size / rows:.1f}", waiting)
            table.add_row(*map(str, values))
    Console(width=None if sys.stdout.isatty() else STATUS_WIDTH).print(table)


@archive.command()
@TYPES
def verify(names: tuple[str, ...]) -> None:
    """Read all archived files and compare them with the manifest. Exits with status 1 if one is damaged."""
    rows = bad = count = 0
    with _database() as (db, settings):
        for datatype in _types(names):
            for file, problem in verify_archive(db, settings, datatype.name):
                count, rows, bad = count + 1, rows + file["rows"], bad + bool(problem)
                if problem:
                    click.echo(f"{file['path']}: {problem}", err=True)
    click.echo(f"{count} files with {rows} readings, {bad} damaged")
    if bad:
        sys.exit(1)


@archive.command()
@click.option("--type", "name", required=True, help="Data type.")
@click.option("--month", required=True, type=click.DateTime(["%Y-%m"]), help="Month, as 2026-03.")
def restore(name: str, month: datetime) -> None:
    """Write a month back into MongoDB, and take it out of the archive.

    Its files are removed a week later by a run. Another run archives the month again.
    """
    [datatype] = _types((name,))
    with _database() as (db, settings):
        written = restore_month(db, datatype, settings, month.replace(tzinfo=UTC))
    click.echo(f"{datatype.name} {month:%Y-%m}: {written} readings written to MongoDB")


def _types(names: tuple[str, ...]) -> list[DataType]:
    known = {datatype.name: datatype for datatype in get_registry()}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"no data type {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names or known]


@contextmanager
def _database() -> Iterator[tuple[Database[Document], Settings]]:
    settings = load_settings()
    try:
        with running(settings, "archive"), sync_client(settings) as client, private_files():
            db = client[settings.mongo_db_name]
            check_version(db)
            ensure_indexes(db, get_registry(), settings)
            yield db, settings
    except (ArchiveFileError, ManifestTakenError, PyMongoError, OSError) as error:
        raise ConfigError(" ".join(str(error).split())[:400]) from None
