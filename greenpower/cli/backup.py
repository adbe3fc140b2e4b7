"""`greenpower backup` and `greenpower restore`: all data, to a folder and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sqlalchemy.exc import SQLAlchemyError

from greenpower.app import sql_context
from greenpower.backup.archive import ArchiveError
from greenpower.backup.load import load_backup
from greenpower.backup.manifest import Manifest
from greenpower.backup.write import Tell, check_backup, write_backup
from greenpower.catalog.registry import get_registry
from greenpower.config import ConfigError, load_settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.sql.extensions import db
from greenpower.sql.setup import upgrade

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@FOLDER
@click.option("--check", is_flag=True, help="Check an existing backup; write nothing.")
def backup(folder: Path, check: bool) -> None:
    """Write all data to a folder, and check it.

    These are readings, events, tiers, users and devices. The system can run meanwhile. To have everything up to the
    last frame, stop ingest and worker first: the broker keeps new frames.
    """
    settings = load_settings()
    with _told() as tell, _one_line():
        if check:
            _say("is whole", check_backup(folder, tell))
            return
        with sync_client(settings) as client, sql_context(settings), db.engine.connect() as connection:
            _say("written", write_backup(folder, client[settings.mongo_db_name], connection, tell))


@click.command()
@FOLDER
@click.option("--replace", is_flag=True, help="First delete everything in the databases.")
def restore(folder: Path, replace: bool) -> None:
    """Load a backup into empty databases.

    Stop all other processes first. If the system was running during the backup, run `greenpower replay` from an hour
    before it, so that readings and events agree.
    """
    settings = load_settings()
    with _told() as tell, _one_line(), sync_client(settings) as client, sql_context(settings):
        upgrade()
        mongo = client[settings.mongo_db_name]

        def prepare() -> None:
            ensure_indexes(mongo, get_registry(), settings)

        with db.engine.connect() as connection:
            _say("loaded", load_backup(folder, mongo, connection, prepare=prepare, replace=replace, tell=tell))


def _say(what: str, manifest: Manifest) -> None:
    documents = sum(part.documents for part in manifest.parts)
    size = sum(part.size for part in manifest.parts)
    click.echo(f"backup of {manifest.created_at:%Y-%m-%d %H:%M} UTC {what}: {documents} documents, {size} bytes")


@contextmanager
def _told() -> Iterator[Tell]:
    """A bar for each file, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, transient=True, console=Console(stderr=True)) as progress:
        tasks: dict[str, object] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                for old in progress.task_ids:
                    progress.remove_task(old)
                tasks[name] = progress.add_task(name, total=total)
            progress.update(progress.task_ids[-1], completed=done, total=total)

        yield tell


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (ArchiveError, PyMongoError, SQLAlchemyError, OSError) as error:
        raise ConfigError(" ".join(str(error).split())[:400]) from None
