"""Loading the SQL part of a backup: one transaction from the old data to the new data, migrated to today's revision.

The transaction also writes the id of the restore into a table of its own. So once it is committed, SQL says that this
restore has happened; until then it has not. PostgreSQL and SQLite both make and drop tables within a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, func, inspect, literal, select
from sqlalchemy.exc import OperationalError

from greenpower.backup.archive import ArchiveError, read_file
from greenpower.backup.manifest import Manifest
from greenpower.backup.table import to_row
from greenpower.backup.write import Tell
from greenpower.sql import Role
from greenpower.sql.alembic_config import alembic_config
from greenpower.sql.extensions import db as sql

ROWS_PER_BATCH = 1_000
# Only there from the commit of a restore until it is done.
SWITCH = Table("restore_switch", MetaData(), Column("run", String(32), nullable=False))
# The lock of migrations (`migrations/env.py`): neither runs beside the other.
SQL_LOCK = 7_264_019_001
LOCK_WAIT = "10s"
VERSION_TABLE = "alembic_version"


def check_revision(folder: Path, manifest: Manifest) -> None:
    """Raise ArchiveError where this program does not know the SQL revision of a backup."""
    try:
        if manifest.revision is not None:
            ScriptDirectory.from_config(alembic_config()).get_revision(manifest.revision)
            return
    except CommandError:
        pass
    raise ArchiveError(
        f"{folder} is of SQL revision {manifest.revision}, which this version does not know: load it with version "
        f"{manifest.greenpower} or a later one"
    )


def filled_tables(connection: Connection) -> list[str]:
    """Tables with rows; roles are made with the tables and do not count. Raises SQLAlchemyError."""
    ours = sql.metadata.tables
    names = set(inspect(connection).get_table_names()) & ours.keys() - {Role.__tablename__}
    return [
        name
        for name in sorted(names)
        if connection.execute(select(literal(1)).select_from(ours[name]).limit(1)).first()
    ]


@contextmanager
def sql_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that has the database for itself. It is undone unless the caller commits it.

    Raises ArchiveError where something else keeps the database for too long, SQLAlchemyError.
    """
    with engine.connect() as connection:
        try:
            _begin(connection)
            yield connection
        finally:
            # Its settings are of this transaction only. Whatever was not committed is undone.
            connection.invalidate()


def _begin(connection: Connection) -> None:
    try:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SQL_LOCK})")
        elif connection.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            assert driver is not None
            # As in `migrations/env.py`. Foreign keys are checked at the end: tables are dropped and made again.
            driver.isolation_level = None
            driver.execute("PRAGMA foreign_keys = OFF")
            driver.execute("PRAGMA synchronous = FULL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        raise ArchiveError(
            f"the SQL database is in use: {str(error.orig).splitlines()[0]}; stop all other processes"
        ) from None


def load_sql(folder: Path, manifest: Manifest, connection: Connection, tell: Tell) -> None:
    """Replace all that is in the database, in the caller's transaction. Raises ArchiveError, SQLAlchemyError."""
    config = alembic_config()
    config.attributes["connection"] = connection
    try:
        command.downgrade(config, "base")
        command.upgrade(config, str(manifest.revision))
        tables = _tables(connection)
        unknown = [part.name for part in manifest.of("sql") if part.name.removeprefix("sql/") not in tables]
        if unknown:
            raise ArchiveError(f"{unknown[0]}: there is no such table at SQL revision {manifest.revision}")
        # Parents first.
        for part in sorted(manifest.of("sql"), key=lambda part: list(tables).index(part.name.removeprefix("sql/"))):
            table = tables[part.name.removeprefix("sql/")]
            rows = (to_row(document) for document in read_file(folder, part.name))
            done = 0
            while batch := list(islice(rows, ROWS_PER_BATCH)):
                connection.execute(table.insert(), batch)
                done += len(batch)
                tell(part.name, done, part.documents)
            loaded = connection.scalar(select(func.count()).select_from(table))
            if loaded != part.documents:
                raise ArchiveError(f"{part.name}: {loaded} rows are there, the backup has {part.documents}")
        command.upgrade(config, "head")
    except CommandError as error:
        raise ArchiveError(f"the SQL database cannot be migrated: {error}") from None
    if connection.dialect.name == "postgresql":
        _continue_counting(connection)
    else:
        _check_foreign_keys(connection)


def _tables(connection: Connection) -> dict[str, Table]:
    """The tables of the backup's revision, parents first, with the types that the models give their columns."""
    found = MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        known = sql.metadata.tables.get(table.name)
        for column in table.columns:
            if known is not None and column.name in known.columns:
                column.type = known.columns[column.name].type
    ours = (table for table in found.sorted_tables if table.name not in (VERSION_TABLE, SWITCH.name))
    return {table.name: table for table in ours}


def _continue_counting(connection: Connection) -> None:
    """Let PostgreSQL's sequences continue after the keys that were loaded."""
    for table in sql.metadata.sorted_tables:
        for column in inspect(connection).get_columns(table.name):
            if str(column.get("default") or "").startswith("nextval("):
                key = table.columns[column["name"]]
                following = func.coalesce(func.max(key), 0) + 1
                sequence = func.pg_get_serial_sequence(table.name, key.name)
                connection.execute(select(func.setval(sequence, following, False)))


def _check_foreign_keys(connection: Connection) -> None:
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        raise ArchiveError(f"sql/{table}: a row belongs to a row of {parent} that is not in the backup")


def write_switch(connection: Connection, run: str) -> None:
    """Write down in the caller's transaction that it is the one of this restore. Raises SQLAlchemyError."""
    drop_switch(connection)
    SWITCH.create(connection)
    connection.execute(SWITCH.insert().values(run=run))


def has_switched(connection: Connection, run: str) -> bool:
    """Whether the transaction of this restore was committed. Raises SQLAlchemyError."""
    if not inspect(connection).has_table(SWITCH.name):
        return False
    found: str | None = connection.scalar(select(SWITCH.c.run))
    return found == run


def drop_switch(connection: Connection) -> None:
    """Forget it, when the restore is done. Raises SQLAlchemyError."""
    SWITCH.drop(connection, checkfirst=True)
