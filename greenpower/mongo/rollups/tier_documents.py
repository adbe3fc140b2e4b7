"""The documents of a tier, written in the order of `as_of`, however late a result comes.

A result has the `as_of` that its job took before it read its sources. It replaces an older result and never a newer
one. A late result where a newer one found nothing has nothing to be compared with: `attempts` finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pymongo import DeleteOne, ReplaceOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document

Key = tuple[str, datetime]
DOCUMENTS_PER_BATCH = 1_000
# Two jobs that insert one bucket at the same time: the one that comes second finds the document at its next try.
MAX_WRITE_ATTEMPTS = 3


def write_documents(collection: Collection[Document], documents: Sequence[Document], *, fresh: bool = False) -> int:
    """Write documents of a tier, with device_id, timestamp and as_of. Returns how many were older than what is there.

    fresh: most of them are not there yet. Raises PyMongoError; writing them again is safe.
    """
    stale = 0
    for first in range(0, len(documents), DOCUMENTS_PER_BATCH):
        batch = list(documents[first : first + DOCUMENTS_PER_BATCH])
        # Live, a window was stored as an open one before it is done: then to insert it is in vain.
        if fresh and not _is_there(collection, batch[0]):
            batch = _insert(collection, batch)
        for _ in range(MAX_WRITE_ATTEMPTS):
            if not batch:
                break
            batch = _update(collection, batch)
        stale += len(batch)
    return stale


def _is_there(collection: Collection[Document], document: Document) -> bool:
    """Whether the place of a document is taken."""
    place = {"device_id": document["device_id"], "timestamp": document["timestamp"]}
    return collection.find_one(place, {"_id": 1}) is not None


def _insert(collection: Collection[Document], batch: list[Document]) -> list[Document]:
    """Insert; returns those whose place is taken."""
    try:
        collection.insert_many(batch, ordered=False)
    except BulkWriteError as error:
        return [batch[index] for index in read_duplicates(error).duplicates]
    return []


def _update(collection: Collection[Document], batch: list[Document]) -> list[Document]:
    """Replace what is older, insert what is not there; returns those whose place a newer one has."""
    updates = [
        ReplaceOne(
            {
                "device_id": document["device_id"],
                "timestamp": document["timestamp"],
                "as_of": {"$not": {"$gte": document["as_of"]}},
            },
            {name: value for name, value in document.items() if name != "_id"},
            upsert=True,
        )
        for document in batch
    ]
    try:
        collection.bulk_write(updates, ordered=False)
    except BulkWriteError as error:
        return [batch[index] for index in read_duplicates(error).duplicates]
    return []


def delete_documents(collection: Collection[Document], keys: Iterable[Key], as_of: datetime) -> None:
    """Delete documents of a tier that no source gives any more, but newer ones. Raises PyMongoError."""
    deletions = [
        DeleteOne({"device_id": device, "timestamp": timestamp, "as_of": {"$not": {"$gt": as_of}}})
        for device, timestamp in keys
    ]
    if deletions:
        collection.bulk_write(deletions, ordered=False)


def final_among(collection: Collection[Document], keys: Iterable[Key]) -> set[Key]:
    """Which of some buckets are final. Raises PyMongoError."""
    wanted = set(keys)
    if not wanted:
        return set()
    devices, times = {device for device, _ in wanted}, {time for _, time in wanted}
    query = {"device_id": {"$in": list(devices)}, "timestamp": {"$in": list(times)}, "final": True}
    found = collection.find(query, {"_id": 0, "device_id": 1, "timestamp": 1})
    return wanted & {(document["device_id"], document["timestamp"]) for document in found}


def are_mostly_open(collection: Collection[Document], time: datetime, devices: Sequence[str] | None) -> bool:
    """Whether there are buckets of the window that begins at a time, and most of them are not final. devices: None for
    all. Raises PyMongoError."""
    query: Document = {"timestamp": time}
    if devices is not None:
        query["device_id"] = {"$in": list(devices)}
    every = collection.count_documents(query)
    return every > 0 and 2 * collection.count_documents({**query, "final": False}) > every


def written_at(
    collection: Collection[Document],
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None,
    as_of: datetime,
) -> set[Key]:
    """Which documents of `[begin, end)` are results of one `as_of`. devices: None for all. Raises PyMongoError."""
    query: Document = {"timestamp": {"$gte": begin, "$lt": end}, "as_of": as_of}
    if devices is not None:
        query["device_id"] = {"$in": list(devices)}
    found = collection.find(query, {"_id": 0, "device_id": 1, "timestamp": 1})
    return {(document["device_id"], document["timestamp"]) for document in found}
