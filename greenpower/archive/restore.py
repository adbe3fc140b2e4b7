"""Moving archived readings back into MongoDB, file by file.

What belongs here: one month's way back. What does not: backups (`greenpower.backup`).

The readings are written first, then the manifest forgets the file: whoever reads meanwhile meets both and takes one.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from uuid import uuid4

from pymongo import InsertOne, ReplaceOne
from pymongo.database import Database

from greenpower.archive.columns import Document, plain_bytes, to_documents
from greenpower.archive.errors import ArchiveFileError
from greenpower.archive.files import FileStore
from greenpower.archive.held import held_readings
from greenpower.archive.join import join, key_of, merge_pair
from greenpower.archive.months import key_order
from greenpower.archive.step import ArchiveStep, Tell, tell_nobody
from greenpower.archive.write import read_back
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.archive.document import ArchivedFileDocument
from greenpower.mongo.archive.manifest import leave_month, switch, take_month
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST

INSERT_BATCH_ROWS = 1_000


def restore_month(
    db: Database[Document], datatype: DataType, settings: Settings, month_begin: datetime, tell: Tell = tell_nobody
) -> int:
    """Move a month's readings back into MongoDB. Returns how many were written there.

    Raises ManifestTakenError, ArchiveFileError for a file that is not what the manifest says, PyMongoError (also where
    another process stores one of these readings meanwhile); running it again goes on.
    """
    owner, store, manifest, written = uuid4().hex, FileStore.of(settings), db[ARCHIVE_MANIFEST], 0
    month = take_month(manifest, datatype.name, month_begin, owner)
    try:
        while month["files"]:
            file = month["files"][0]
            if read_back(store, file["path"]) != (file["rows"], file["digest"]):
                raise ArchiveFileError(f"archive file {file['path']} is damaged")
            written += _restore_file(db, datatype, store, file, month_begin)
            tell(ArchiveStep.WRITTEN)
            switch(manifest, month, owner, [], [file["path"]])
            tell(ArchiveStep.SWITCHED)
            month = take_month(manifest, datatype.name, month_begin, owner)
    finally:
        leave_month(manifest, month["_id"], owner)
    return written


def _restore_file(
    db: Database[Document], datatype: DataType, store: FileStore, file: ArchivedFileDocument, month: datetime
) -> int:
    collection, first, last = db[datatype.collection], key_order(file["first"]), key_order(file["last"])
    archived = (row for table in store.groups(file["path"]) for row in to_documents(table))
    devices = file["first"]["device_id"], file["last"]["device_id"]
    held = (row for row in held_readings(collection, month, devices) if first <= key_of(row) <= last)
    writes = (write for pair in join(archived, held) if (write := _write(*pair)) is not None)
    written = 0
    while batch := list(islice(writes, INSERT_BATCH_ROWS)):
        result = collection.bulk_write(batch, ordered=False)
        written += result.inserted_count + result.matched_count
    return written


def _write(archived: Document | None, held: Document | None) -> InsertOne[Document] | ReplaceOne[Document] | None:
    """What brings MongoDB up to a reading of both; None where it has it."""
    if archived is None:
        return None
    if held is None:
        return InsertOne(archived)
    merged = {**merge_pair(archived, held), "_id": held["_id"]}
    if plain_bytes(merged) == plain_bytes(held):
        return None
    return ReplaceOne({"_id": held["_id"], "updated_at": held["updated_at"]}, merged)
