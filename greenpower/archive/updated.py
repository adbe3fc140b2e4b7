"""Readings of archive and MongoDB in the order in which they were last written.

What belongs here: that order, for the feed of changes. What does not: any order of time (`greenpower.archive.cursor`).

Files are not sorted so: of each part that may have such rows the times are read, and the first ones are kept. A program
that follows is past the time at which files were written, so nothing of them is read for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.collection import Collection

from greenpower.archive.columns import milliseconds, to_documents
from greenpower.archive.files import FileStore, UpdatedGroup
from greenpower.archive.join import merge_pair
from greenpower.archive.read import ArchiveView
from greenpower.datatype import DataType
from greenpower.mongo.client import Document

Position = tuple[datetime, Any]
Key = tuple[str, datetime]
KEYS_PER_QUERY = 500


class UpdatedRow(NamedTuple):
    """The place of a row in files, and what it is sorted by."""

    updated_ms: int
    identity: ObjectId
    group: UpdatedGroup
    row: int


def find_updated(
    view: ArchiveView,
    datatype: DataType,
    held: Collection[Document],
    since: Position | None,
    until: datetime,
    limit: int,
) -> list[Document]:
    """The first `limit` readings behind (updated_at, _id) that were updated before `until`, each once, in that order.

    Raises PyMongoError, ArchiveFileError.
    """
    found: list[tuple[Position, Document]] = []
    while True:
        archived = view.updated(datatype.name, since, until, limit)
        mine = _held_updated(held, since, until, limit)
        ends = [_position(side[-1]) for side in (archived, mine) if len(side) == limit]
        stop = min(ends, default=None)
        rows = [*_of_archive(datatype, held, archived), *_of_mongo(view, datatype, mine)]
        found += sorted((row for row in rows if stop is None or row[0] <= stop), key=lambda row: row[0])
        if stop is None or len(found) >= limit:
            return [document for _, document in found[:limit]]
        since = stop


def first_updated(
    store: FileStore, paths: Sequence[str], since: Position | None, until: datetime, limit: int
) -> list[Document]:
    """The first `limit` readings of files behind a position, in that order. Raises ArchiveFileError."""
    groups = sorted((group for path in paths for group in store.updated_groups(path)), key=lambda group: group.first_ms)
    begin = None if since is None else milliseconds(since[0])
    end = milliseconds(until)
    kept: list[UpdatedRow] = []
    for group in groups:
        if group.first_ms >= end or (begin is not None and group.last_ms < begin):
            continue
        if len(kept) == limit and group.first_ms > kept[-1].updated_ms:
            break
        rows = [
            UpdatedRow(at, identity, group, row)
            for row, at, identity in store.updates(group)
            if at < end and (since is None or begin is None or (at, identity) > (begin, since[1]))
        ]
        kept = sorted([*kept, *rows], key=lambda row: row[:2])[:limit]
    return list(_documents(store, kept))


def _documents(store: FileStore, rows: Sequence[UpdatedRow]) -> Iterator[Document]:
    places: dict[UpdatedGroup, list[int]] = {}
    for row in rows:
        places.setdefault(row.group, []).append(row.row)
    found: dict[tuple[UpdatedGroup, int], Document] = {}
    for group, numbers in places.items():
        documents = to_documents(store.rows(group.group, None).take(numbers))
        found |= {(group, number): document for number, document in zip(numbers, documents, strict=True)}
    return (found[row.group, row.row] for row in rows)


def _position(document: Mapping[str, Any]) -> Position:
    return document["updated_at"], document["_id"]


def _key(document: Mapping[str, Any]) -> Key:
    return document["device_id"], document["timestamp"]


def _held_updated(held: Collection[Document], since: Position | None, until: datetime, limit: int) -> list[Document]:
    """MongoDB's first ones. The index orders by time; of equal times all are read and sorted."""
    where: Document = {"updated_at": {"$lt": until}}
    if since is not None:
        later = [{"updated_at": {"$gt": since[0]}}, {"_id": {"$gt": since[1]}}]
        where = {"updated_at": {"$gte": since[0], "$lt": until}, "$or": later}
    found = list(held.find(where).sort("updated_at", ASCENDING).limit(limit))
    if len(found) == limit:
        last = found[-1]["updated_at"]
        found = [document for document in found if document["updated_at"] < last]
        found += held.find({"$and": [where, {"updated_at": last}]}).sort("_id", ASCENDING).limit(limit - len(found))
    return sorted(found, key=_position)


def _of_archive(
    datatype: DataType, held: Collection[Document], archived: Sequence[Document]
) -> Iterator[tuple[Position, Document]]:
    """The rows that are in files, as they are now. One that MongoDB has in a newer form stands where that is."""
    there = _held_at(held, [_key(document) for document in archived])
    for document in archived:
        other = there.get(_key(document))
        if other is None:
            yield _position(document), document
        elif other["_id"] != document["_id"] and merge_pair(document, other)["updated_at"] == document["updated_at"]:
            yield _position(document), merge_pair(document, other)


def _of_mongo(view: ArchiveView, datatype: DataType, mine: Sequence[Document]) -> Iterator[tuple[Position, Document]]:
    """The rows that MongoDB has, as they are now. One that adds nothing to another in the archive is that one."""
    there = view.contains(datatype, [_key(document) for document in mine])
    for document in mine:
        other = there.get(_key(document))
        if other is None or other["_id"] == document["_id"]:
            yield _position(document), document
        else:
            merged = merge_pair(other, document)
            if merged["updated_at"] > other["updated_at"]:
                yield (document["updated_at"], other["_id"]), merged


def _held_at(held: Collection[Document], keys: Sequence[Key]) -> dict[Key, Document]:
    found: dict[Key, Document] = {}
    for first in range(0, len(keys), KEYS_PER_QUERY):
        part = [{"device_id": device, "timestamp": at} for device, at in keys[first : first + KEYS_PER_QUERY]]
        found |= {_key(document): document for document in held.find({"$or": part})}
    return found
