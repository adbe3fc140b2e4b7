"""`greenpower backup` and `greenpower restore`: all data, to a folder and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import redis
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sqlalchemy.exc import SQLAlchemyError

from greenpower.app import sql_context
from greenpower.backup.archive import ArchiveError
from greenpower.backup.manifest import Manifest
from greenpower.backup.restore import Restore
from greenpower.backup.write import Tell, check_backup, write_backup
from greenpower.bus.forget import forget_values
from greenpower.bus.keys import STATUS_CHANNEL
from greenpower.catalog.registry import get_registry
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.mongo.archive.document import ArchiveMonthDocument
from greenpower.mongo.archive.manifest import read_months
from greenpower.mongo.client import sync_client
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST, ensure_indexes
from greenpower.mongo.schema.version import check_at_start
from greenpower.private_files import make_private_folder, private_files
from greenpower.sql.extensions import db
from greenpower.stack.servers import own_servers

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
RESTORE_APPNAME = "greenpower-restore"
REDIS_SECONDS = 3.0


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
        check_at_start(settings)
        with (
            running(settings, "backup"),
            sync_client(settings) as client,
            sql_context(settings),
            db.engine.connect() as connection,
        ):
            _say("written", write_backup(folder, client[settings.mongo_db_name], connection, tell))
            _say_archive(settings, read_months(client[settings.mongo_db_name][ARCHIVE_MANIFEST]))


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--replace", is_flag=True, help="Replace everything that is in the databases.")
@click.option("--resume", is_flag=True, help="Only finish a restore that was interrupted; needs no FOLDER.")
def restore(folder: Path | None, replace: bool, resume: bool) -> None:
    """Load a backup: all of it, or nothing is changed.

    Stop all other processes first: while one lives, this refuses. A backup of an older release is migrated. If this is
    interrupted, it has changed nothing, or no process starts until it is run again. If the system was running during
    the backup, run `greenpower replay` from an hour before it, so that readings and events agree.
    """
    if (folder is None) != resume:
        raise click.UsageError("give the FOLDER of a backup, or --resume")
    with own_servers(load_settings()) as settings, _told() as tell, _one_line():
        make_private_folder(settings.greenpower_home)
        client = sync_client(settings, appname=RESTORE_APPNAME, socketTimeoutMS=0)
        with private_files(), client, sql_context(settings):
            mongo = client[settings.mongo_db_name]

            def prepare(prefix: str) -> None:
                ensure_indexes(mongo, get_registry(), settings, prefix=prefix)

            _refuse_listeners(settings)
            work = Restore(mongo, db.engine, prepare, tell)
            if folder is None:
                found = work.resume()
                done = "no restore had begun to replace data: it is that of before"
                if found is not None:
                    done = f"backup of {found['backup_at']:%Y-%m-%d %H:%M} UTC loaded"
                click.echo(done)
            else:
                _say("loaded", work.load(folder, replace=replace))
            _forget_values(settings)


def _refuse_listeners(settings: Settings) -> None:
    """Raise ArchiveError while a realtime gateway listens: it knows no database, and shows what was before."""
    if not settings.redis_address:
        return
    try:
        with closing(redis.Redis.from_url(settings.redis_address, socket_timeout=REDIS_SECONDS)) as client:
            [(_, count)] = client.pubsub_numsub(STATUS_CHANNEL)
    except redis.RedisError:
        return  # nobody listens to a Redis that is away
    if count:
        raise ArchiveError(f"{count} processes listen to Redis, stop them first: realtime, or `greenpower watch`")


def _forget_values(settings: Settings) -> None:
    """Let dashboards not show newest values of the data of before."""
    if not settings.redis_address:
        return
    try:
        with closing(redis.Redis.from_url(settings.redis_address, socket_timeout=REDIS_SECONDS)) as client:
            forget_values(client)
    except redis.RedisError as error:
        click.echo(f"warning: Redis still has the newest values of before: {type(error).__name__}", err=True)


def _say(what: str, manifest: Manifest) -> None:
    documents = sum(part.documents for part in manifest.parts)
    size = sum(part.size for part in manifest.parts)
    click.echo(f"backup of {manifest.created_at:%Y-%m-%d %H:%M} UTC {what}: {documents} documents, {size} bytes")


def _say_archive(settings: Settings, months: list[ArchiveMonthDocument]) -> None:
    """Say what is not in the backup."""
    count = sum(bool(month["files"]) for month in months)
    if count:
        place = settings.archive_url.get_secret_value().partition("?")[0].rpartition("@")[2]
        where = f"at {place}" if place else f"in {settings.greenpower_home / 'archive'}"
        click.echo(f"not in it: {count} archived months {where}; copy them too", err=True)


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
