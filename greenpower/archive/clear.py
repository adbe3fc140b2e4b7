"""Clearing: deleting from MongoDB what the archive has, and removing files that nobody needs.

What belongs here: when that is safe. What does not: what goes into files (`greenpower.archive.collect`).

A file's readings are deleted CLEAR_AFTER after the manifest named it: readers that began with an older manifest are
done by then. Each is compared with the file once more, bit for bit; one that was written since stays. Replaced files
are kept for some days, so that a backup of the manifest finds its files.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

from pymongo.collection import Collection

from greenpower.archive.columns import Document, to_documents
from greenpower.archive.errors import ArchiveFileError
from greenpower.archive.files import FileStore
from greenpower.archive.held import DELETE_BATCH_ROWS, delete_archived, held_readings
from greenpower.archive.join import adds_nothing, join, key_of
from greenpower.archive.months import key_order
from greenpower.archive.step import ArchiveStep, Tell
from greenpower.mongo.archive.document import ArchivedFileDocument, ArchiveMonthDocument
from greenpower.mongo.archive.manifest import drop_pending, forget_retired, mark_cleared, server_time, take_month

CLEAR_AFTER = timedelta(minutes=10)
KEEP_REPLACED = timedelta(days=7)


def remove_old_files(
    manifest: Collection[Document], store: FileStore, month: ArchiveMonthDocument, tell: Tell, keep: timedelta
) -> None:
    """Remove what a killed run left half written, and files that were replaced so long ago. Raises PyMongoError."""
    for path in month["pending"]:
        store.remove(path)
        tell(ArchiveStep.REMOVED)
        drop_pending(manifest, month["_id"], [path])
    now = server_time(manifest)
    for file in month["retired"]:
        if file["at"] + keep <= now:
            store.remove(file["path"])
            tell(ArchiveStep.REMOVED)
            forget_retired(manifest, month["_id"], [file["path"]])


def clear_month(
    manifest: Collection[Document],
    readings: Collection[Document],
    store: FileStore,
    month: ArchiveMonthDocument,
    owner: str,
    tell: Tell,
    after: timedelta = CLEAR_AFTER,
) -> int:
    """Delete from MongoDB what files of a month hold that are old enough. Returns how many readings.

    Raises ManifestTakenError, ArchiveFileError, PyMongoError; running it again goes on.
    """
    now, deleted = server_time(manifest), 0
    for file in month["files"]:
        if file["cleared"] or file["written_at"] + after > now:
            continue
        take_month(manifest, month["type"], month["month"], owner)
        # One wrong bit may lie where no value is read from today.
        if store.sum(file["path"]) != (file["size"], file["sha256"]):
            raise ArchiveFileError(f"archive file {file['path']} is damaged")
        deleted += _clear_file(readings, store, file, month, tell)
        mark_cleared(manifest, month["_id"], file["path"])
        tell(ArchiveStep.CLEARED)
    return deleted


def _clear_file(
    readings: Collection[Document],
    store: FileStore,
    file: ArchivedFileDocument,
    month: ArchiveMonthDocument,
    tell: Tell,
) -> int:
    first, last = key_order(file["first"]), key_order(file["last"])
    archived = (row for table in store.groups(file["path"]) for row in to_documents(table))
    devices = file["first"]["device_id"], file["last"]["device_id"]
    held = (row for row in held_readings(readings, month["month"], devices) if first <= key_of(row) <= last)
    known = (two for one, two in join(archived, held) if one is not None and two is not None and adds_nothing(one, two))
    deleted = 0
    while batch := list(islice(known, DELETE_BATCH_ROWS)):
        deleted += delete_archived(readings, month["type"], batch)
        tell(ArchiveStep.DELETED)
    return deleted
