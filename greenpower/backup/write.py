"""Writing a backup, and checking one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database
from sqlalchemy import Connection, select, text

from greenpower import __version__
from greenpower.backup.archive import ArchiveError, ArchiveFile, check_file, encode, write_file
from greenpower.backup.manifest import Manifest, read_manifest, write_manifest
from greenpower.backup.table import to_document
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import (
    ADJUSTMENTS,
    ALARM_PROGRESS,
    ATTEMPTS,
    ENERGY_DAYS,
    EVENTS,
    INCIDENTS,
    INTERVALS,
    INVALIDATIONS,
    NOT_DATA,
    SCHEMA,
    STAGED,
    WATERMARKS,
)
from greenpower.private_files import make_private_folder
from greenpower.sql.extensions import db as sql
from greenpower.sql.setup import current_revision

RAW = CodecOptions(document_class=RawBSONDocument)
DOCUMENTS_PER_BATCH = 1_000
LEDGER = (INTERVALS, ENERGY_DAYS)
# Made from corrections and the ledger wherever it is missing; a copy could be of another moment than these.
MADE_AGAIN = (ADJUSTMENTS,)
LEFT_OUT = (*MADE_AGAIN, *NOT_DATA)
# Called with the file, the documents done, and about how many there are.
Tell = Callable[[str, int, int], None]


def write_backup(
    folder: Path, mongo: Database[Document], connection: Connection, tell: Tell = lambda name, done, total: None
) -> Manifest:
    """Write everything into a folder that is new or empty, and check it. Memory stays bounded.

    The system may run meanwhile: what it writes after `created_at` is only partly in the backup. Raises
    ArchiveError, OSError, PyMongoError, SQLAlchemyError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ArchiveError(f"{folder} is not empty")
    make_private_folder(folder)
    created_at = datetime.now(UTC)
    parts: list[ArchiveFile] = []
    with _snapshot(connection):
        revision = current_revision(connection)
        for table in sql.metadata.sorted_tables:
            rows = connection.execute(select(table)).mappings()
            parts.append(write_file(folder, f"sql/{table.name}", (encode(to_document({**row})) for row in rows)))
            tell(parts[-1].name, parts[-1].documents, parts[-1].documents)
    for name in in_order(mongo):
        parts.append(write_file(folder, f"mongo/{name}", _documents(mongo, name, tell)))
    manifest = Manifest(created_at=created_at, greenpower=__version__, revision=revision, parts=tuple(parts))
    write_manifest(folder, manifest)
    check_backup(folder, tell)
    return manifest


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """Within it, all tables are as they were at one moment: no row is without the row that it belongs to."""
    connection.rollback()
    if connection.dialect.name == "sqlite":
        # Its driver begins no transaction for what only reads.
        connection.exec_driver_sql("BEGIN")
    else:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    try:
        yield
    finally:
        connection.rollback()


def check_backup(folder: Path, tell: Tell = lambda name, done, total: None) -> Manifest:
    """Read a whole backup. Raises ArchiveError unless every file is what the manifest says."""
    manifest = read_manifest(folder)
    for number, part in enumerate(manifest.parts, 1):
        check_file(folder, part)
        tell(f"check {part.name}", number, len(manifest.parts))
    return manifest


def in_order(mongo: Database[Document]) -> list[str]:
    """The collections in the order in which a running system may be copied.

    The schema version comes first: a migration goes on after a restore and does again what it had done meanwhile.
    Watermarks come before what they vouch for, and how far alarms were judged before the readings and the alarms. Then
    comes what numbers are computed from, then the invalidations, then the results: of a reading that is in the backup
    either the invalidation is there too, or it was done before its results were copied. Events come last, after the
    readings that come from them, so that a replay finds what is missing.
    """
    there = mongo.list_collection_names()
    names = sorted(name for name in there if not name.startswith(("system.", STAGED)) and name not in LEFT_OUT)
    results = [name for name in names if name in LEDGER or _is_tier(mongo[name])]
    last = [name for name in (INVALIDATIONS, *results, EVENTS) if name in names]
    first = [name for name in (SCHEMA, WATERMARKS, ALARM_PROGRESS) if name in names]
    return [*first, *(name for name in names if name not in (*first, *last)), *last]


def _is_tier(collection: Collection[Document]) -> bool:
    """Whether a collection holds buckets or copies of readings: each of them says of which run it is."""
    if collection.name in (INCIDENTS, ATTEMPTS):
        return False
    return "as_of" in (collection.find_one({}, {"as_of": 1}) or {})


def _documents(mongo: Database[Document], name: str, tell: Tell) -> Iterator[bytes]:
    collection: Collection[RawBSONDocument] = mongo[name].with_options(RAW)
    total = collection.estimated_document_count()
    done = 0
    for document in collection.find({}, batch_size=DOCUMENTS_PER_BATCH):
        yield bytes(document.raw)
        done += 1
        if done % DOCUMENTS_PER_BATCH == 0:
            tell(f"mongo/{name}", done, max(done, total))
    tell(f"mongo/{name}", done, done)
