"""The manifest: which files hold the archived readings of a month. A change is one update with a check.

What belongs here: reading and changing the manifest, and the lease of the run that works on a month. What does not:
files, and deleting readings (`greenpower.archive`).

The lease saves work, it guards nothing: the switch demands that the generation is still the one the run read and that
its files are still pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from greenpower.mongo.archive.document import ArchivedFileDocument, ArchiveMonthDocument
from greenpower.mongo.client import Document

LEASE = timedelta(minutes=5)


class ManifestTakenError(Exception):
    """Another run works on the month, or has changed it meanwhile. The text is one line."""


def month_id(type_name: str, month: datetime) -> str:
    """The `_id` of a month's document."""
    return f"{type_name}/{month:%Y-%m}"


def read_months(collection: Collection[Document], type_name: str | None = None) -> list[ArchiveMonthDocument]:
    """The months of a type, or of all, oldest first. Raises PyMongoError."""
    found = collection.find({} if type_name is None else {"type": type_name}).sort("_id")
    return [cast(ArchiveMonthDocument, document) for document in found]


def read_generations(collection: Collection[Document]) -> dict[str, int]:
    """The generation of every month, by `_id`. Raises PyMongoError."""
    return {document["_id"]: document["generation"] for document in collection.find({}, {"generation": 1})}


async def archived_types(collection: AsyncCollection[Document]) -> set[str]:
    """The types of which something is archived."""
    return set(await collection.distinct("type", {"files.0": {"$exists": True}}))


def read_some(collection: Collection[Document], ids: Iterable[str]) -> list[ArchiveMonthDocument]:
    """The months with these ids. Raises PyMongoError."""
    return [cast(ArchiveMonthDocument, document) for document in collection.find({"_id": {"$in": list(ids)}})]


def take_month(
    collection: Collection[Document], type_name: str, month: datetime, owner: str, lease: timedelta = LEASE
) -> ArchiveMonthDocument:
    """Take a month's lease, or prolong one's own. Raises ManifestTakenError, PyMongoError."""
    name = month_id(type_name, month)
    fresh = {"type": type_name, "month": month, "generation": 0, "files": [], "pending": [], "retired": []}
    with suppress(DuplicateKeyError):  # another run was quicker
        collection.update_one({"_id": name}, {"$setOnInsert": fresh}, upsert=True)
    free = {"$or": [{"owner": owner}, {"$expr": {"$lt": [{"$ifNull": ["$until", 0]}, "$$NOW"]}}]}
    length = int(lease / timedelta(milliseconds=1))
    found = collection.find_one_and_update(
        {"_id": name, **free},
        [{"$set": {"owner": {"$literal": owner}, "until": {"$add": ["$$NOW", length]}}}],
        return_document=True,
    )
    if found is None:
        raise ManifestTakenError(f"{name}: another archive run works on it")
    return cast(ArchiveMonthDocument, found)


def leave_month(collection: Collection[Document], name: str, owner: str) -> None:
    """Give the lease up. Raises PyMongoError."""
    collection.update_one({"_id": name, "owner": owner}, {"$unset": {"owner": "", "until": ""}})


def add_pending(collection: Collection[Document], name: str, owner: str, path: str) -> None:
    """Note a file before it is written, so that what a killed run left is found. Raises ManifestTakenError."""
    if not collection.update_one({"_id": name, "owner": owner}, {"$push": {"pending": path}}).matched_count:
        raise ManifestTakenError(f"{name}: another archive run has taken over")


def drop_pending(collection: Collection[Document], name: str, paths: Sequence[str]) -> None:
    """Forget files that were removed. Raises PyMongoError."""
    collection.update_one({"_id": name}, {"$pull": {"pending": {"$in": list(paths)}}})


def switch(
    collection: Collection[Document],
    month: ArchiveMonthDocument,
    owner: str,
    added: Sequence[ArchivedFileDocument],
    replaced: Sequence[str],
) -> None:
    """Let new files be the archive's, in the place of others, in one update. Raises ManifestTakenError, PyMongoError.

    written_at of the added files is set here, by the server's clock.
    """
    paths = [file["path"] for file in added]
    files = [(file, False) for file in month["files"] if file["path"] not in replaced]
    files += [(file, True) for file in added]
    files.sort(key=lambda item: (item[0]["first"]["device_id"].encode(), item[0]["first"]["timestamp"]))
    retired = [{"path": {"$literal": path}, "at": "$$NOW"} for path in replaced]
    change: Document = {
        "files": [_expression(file, is_new) for file, is_new in files],
        "retired": {"$concatArrays": ["$retired", retired]},
        "pending": {"$filter": {"input": "$pending", "cond": {"$not": {"$in": ["$$this", {"$literal": paths}]}}}},
        "generation": {"$add": ["$generation", 1]},
    }
    expected: Document = {"_id": month["_id"], "owner": owner, "generation": month["generation"]}
    if paths:
        expected["pending"] = {"$all": paths}
    if not collection.update_one(expected, [{"$set": change}]).matched_count:
        raise ManifestTakenError(f"{month['_id']}: another archive run has changed it meanwhile")


def _expression(file: ArchivedFileDocument, is_new: bool) -> Document:
    if not is_new:
        return {"$literal": file}
    values: Document = {key: {"$literal": value} for key, value in file.items()}
    return {**values, "written_at": "$$NOW"}


def mark_cleared(collection: Collection[Document], name: str, path: str) -> None:
    """Note that what a file holds is no longer in MongoDB. Raises PyMongoError."""
    collection.update_one({"_id": name, "files.path": path}, {"$set": {"files.$.cleared": True}})


def forget_retired(collection: Collection[Document], name: str, paths: Sequence[str]) -> None:
    """Forget replaced files that were removed. Raises PyMongoError."""
    collection.update_one({"_id": name}, {"$pull": {"retired": {"path": {"$in": list(paths)}}}})


def server_time(collection: Collection[Document]) -> datetime:
    """The server's clock, which dates files. Raises PyMongoError."""
    database = collection.database
    time = database.command("hello", codec_options=database.codec_options)["localTime"]
    assert isinstance(time, datetime)
    return time
