"""Loading a backup into databases that are empty, or emptying them first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from sqlalchemy import Connection, func, inspect, select

from greenpower.backup.archive import ArchiveError, ArchiveFile, read_file
from greenpower.backup.manifest import Manifest
from greenpower.backup.table import to_row
from greenpower.backup.write import Tell, check_backup
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import SCHEMA
from greenpower.mongo.schema.steps import KNOWN_VERSION
from greenpower.sql import Role
from greenpower.sql.extensions import db as sql
from greenpower.sql.setup import newest_revision

DOCUMENTS_PER_BATCH = 1_000


def load_backup(
    folder: Path,
    mongo: Database[Document],
    connection: Connection,
    *,
    prepare: Callable[[], object],
    replace: bool = False,
    tell: Tell = lambda name, done, total: None,
) -> Manifest:
    """Check a backup, load it, and count what was loaded. The SQL database has its tables already.

    replace: delete what is there first; otherwise a database that is not empty is refused. Nothing is changed before
    the whole backup has been checked. prepare: makes the collections again, with their indexes. Documents past their
    retention are soon deleted again. Raises ArchiveError, PyMongoError, SQLAlchemyError.
    """
    manifest = check_backup(folder, tell)
    if manifest.revision != newest_revision():
        raise ArchiveError(
            f"{folder} is of SQL revision {manifest.revision}, this version has {newest_revision()}: load it with "
            f"version {manifest.greenpower}, then upgrade"
        )
    _check_version(folder, manifest)
    there = [*_filled_collections(mongo), *_filled_tables(connection)]
    if there and not replace:
        shown = ", ".join(there[:3])
        raise ArchiveError(f"the databases are not empty ({shown} …): give --replace to delete what is there")
    _load_sql(folder, manifest, connection, tell)
    for name in mongo.list_collection_names():
        mongo.drop_collection(name)
    prepare()
    for part in manifest.of("mongo"):
        _load_collection(folder, part, mongo, tell)
    return manifest


def _check_version(folder: Path, manifest: Manifest) -> None:
    """Raise ArchiveError where this program does not know the schema version of the backup's documents."""
    if any(part.name == f"mongo/{SCHEMA}" for part in manifest.parts):
        for document in read_file(folder, f"mongo/{SCHEMA}"):
            if document["oldest_reader"] > KNOWN_VERSION:
                raise ArchiveError(
                    f"{folder} needs schema version {document['oldest_reader']}, this version knows {KNOWN_VERSION}: "
                    f"load it with version {manifest.greenpower}"
                )


def _filled_collections(mongo: Database[Document]) -> list[str]:
    """Collections with documents; the schema version is made with the database and does not count."""
    names = (name for name in mongo.list_collection_names() if name != SCHEMA)
    return [name for name in names if mongo[name].find_one({}, {"_id": 1}) is not None]


def _filled_tables(connection: Connection) -> list[str]:
    """Tables with rows; roles are made with the tables and do not count."""
    tables = (table for table in sql.metadata.sorted_tables if table.name != Role.__tablename__)
    return [table.name for table in tables if connection.scalar(select(func.count()).select_from(table))]


def _load_sql(folder: Path, manifest: Manifest, connection: Connection, tell: Tell) -> None:
    """All tables in one transaction."""
    connection.rollback()  # ends the transaction that the checks began
    with connection.begin():
        for table in reversed(sql.metadata.sorted_tables):
            connection.execute(table.delete())
        for part in manifest.of("sql"):
            table = sql.metadata.tables[part.name.removeprefix("sql/")]
            rows = (to_row(document) for document in read_file(folder, part.name))
            done = 0
            while batch := list(islice(rows, DOCUMENTS_PER_BATCH)):
                connection.execute(table.insert(), batch)
                done += len(batch)
                tell(part.name, done, part.documents)
            loaded = connection.scalar(select(func.count()).select_from(table))
            if loaded != part.documents:
                raise ArchiveError(f"{part.name}: {loaded} rows are there, the backup has {part.documents}")
        if connection.dialect.name == "postgresql":
            _continue_counting(connection)


def _continue_counting(connection: Connection) -> None:
    """Let PostgreSQL's sequences continue after the keys that were loaded."""
    for table in sql.metadata.sorted_tables:
        for column in inspect(connection).get_columns(table.name):
            if str(column.get("default") or "").startswith("nextval("):
                key = table.columns[column["name"]]
                following = func.coalesce(func.max(key), 0) + 1
                sequence = func.pg_get_serial_sequence(table.name, key.name)
                connection.execute(select(func.setval(sequence, following, False)))


def _load_collection(folder: Path, part: ArchiveFile, mongo: Database[Document], tell: Tell) -> None:
    collection: Any = mongo[part.name.removeprefix("mongo/")]
    done = 0
    for batch in _batches(read_file(folder, part.name)):
        collection.insert_many(batch, ordered=False)
        done += len(batch)
        tell(part.name, done, part.documents)
    if done != part.documents:
        raise ArchiveError(f"{part.name}: {done} documents were loaded, the backup has {part.documents}")


def _batches(documents: Iterable[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    left = iter(documents)
    while batch := list(islice(left, DOCUMENTS_PER_BATCH)):
        yield batch
