"""`greenpower migrate`: bring what is stored to the shapes of this release, SQL first, then MongoDB."""

from __future__ import annotations

import click
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.cli.sql import sql_database
from greenpower.config import ConfigError, Settings, load_settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.handle import check_address
from greenpower.mongo.schema.migrate import Event, MigrationError, migrate, pending_steps
from greenpower.mongo.schema.version import check_at_start, check_version, has_data, read_schema
from greenpower.private_files import make_private_folder, private_files
from greenpower.sql.extensions import db
from greenpower.sql.setup import current_revision, newest_revision, upgrade


@click.command("migrate")
@click.option("--dry-run", is_flag=True, help="Change nothing; show the versions and the steps that are missing.")
@click.option("--again", is_flag=True, help="Run the steps again that were applied before.")
def migrate_command(dry_run: bool, again: bool) -> None:
    """Bring the databases to the versions of this release.

    Safe to repeat and to interrupt: it goes on where it stopped. One process migrates at a time, others wait for it.
    The system may run meanwhile, if it is of this release.
    """
    settings = load_settings()
    for line in show(settings) if dry_run else migrate_all(settings, again=again):
        click.echo(line)


def migrate_all(settings: Settings, *, again: bool = False) -> list[str]:
    """Migrate both databases. Returns a line for each. Raises ConfigError."""
    make_private_folder(settings.greenpower_home)
    check_at_start(settings, quiet=True)
    with private_files(), sql_database(settings):
        upgraded = upgrade()
        revision = newest_revision()
    done = f"migrated to {upgraded}" if upgraded else f"revision {revision}, nothing to do"
    version, applied = apply_steps(settings, again=again)
    return [f"SQL: {done}", f"MongoDB: schema version {version}, {', '.join(applied) or 'nothing to do'}"]


def apply_steps(settings: Settings, *, again: bool = False) -> tuple[int, list[str]]:
    """Migrate MongoDB. Returns its version then, and a text for each step that was applied. Raises ConfigError."""
    applied: list[str] = []

    def tell(event: Event, version: int, changed: int) -> None:
        if event is Event.WAITING:
            click.echo("MongoDB: another process is migrating, waiting for it", err=True)
        if event is Event.APPLIED:
            applied.append(f"step {version} applied to {changed} documents")

    check_address(settings)
    try:
        # A piece takes as long as it takes.
        with sync_client(settings, socketTimeoutMS=0) as client:
            database = client[settings.mongo_db_name]
            check_version(database)
            return migrate(database, again=again, tell=tell), applied
    except MigrationError as error:
        raise ConfigError(f"MongoDB: {error}") from None
    except PyMongoError as error:
        raise ConfigError(f"MONGO_DB_URI: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from None


def show(settings: Settings) -> list[str]:
    """What `migrate_all` would do. Raises ConfigError."""
    check_address(settings)
    with sql_database(settings), db.engine.connect() as connection:
        current, newest = current_revision(connection), newest_revision()
    try:
        with sync_client(settings) as client:
            mongo = _show_mongo(client[settings.mongo_db_name])
    except PyMongoError as error:
        raise ConfigError(f"MONGO_DB_URI: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from None
    change = "nothing to do" if current == newest else f"to be migrated to {newest}"
    return [f"SQL: revision {current or 'none'}, {change}", *mongo]


def _show_mongo(database: Database[Document]) -> list[str]:
    found = read_schema(database)
    if found is None and not has_data(database, database.list_collection_names()):
        return ["MongoDB: empty, nothing to do"]
    pending = pending_steps(found)
    version = "none yet" if found is None else f"{found['version']}, needs programs that know {found['oldest_reader']}"
    lines = [f"MongoDB: schema version {version}, {f'{len(pending)} steps to apply' if pending else 'nothing to do'}"]
    if found is not None and "lock" in found:
        lines.append(
            f"MongoDB: a process on {found['lock']['host']} migrates, until {found['lock']['until']:%H:%M:%S} UTC"
        )
    return [*lines, *(f"MongoDB: step {step.version}: {step.title}" for step in pending)]
