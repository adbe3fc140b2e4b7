"""Attempts: which results are under way, so that one that comes too late is found and computed again.

One document per attempt at a stretch of a tier: {_id, type, prefix, as_of, begin, end, devices, ranges, contested,
done, at}.
It is written before the sources are read and removed after the results are written. `as_of` keeps a late result from
replacing a newer one. It cannot keep a late result out of a place where the newer run found nothing. So of two attempts
at overlapping stretches of a tier and of the same device ranges the older one is contested. An attempt that is
contested, or was never finished because its process died or is frozen, stays on record: the next run computes again
what it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bson import ObjectId
from pymongo import InsertOne, UpdateMany
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt on record. devices: None for all of its ranges. contested: there is a newer one."""

    id: ObjectId
    type: str
    prefix: str
    as_of: datetime
    begin: datetime
    end: datetime
    devices: tuple[str, ...] | None
    ranges: Ranges = ALL_RANGES
    contested: bool = False
    done: bool = False


def begin_attempt(
    collection: Collection[Document],
    type_name: str,
    prefix: str,
    as_of: datetime,
    stretch: tuple[datetime, datetime],
    devices: Sequence[str] | None,
    ranges: Ranges = ALL_RANGES,
) -> Attempt:
    """Put an attempt on record; older ones that it overlaps become contested. Raises PyMongoError."""
    attempt = Attempt(
        id=ObjectId(),
        type=type_name,
        prefix=prefix,
        as_of=as_of,
        begin=stretch[0],
        end=stretch[1],
        devices=None if devices is None else tuple(devices),
        ranges=ranges,
    )
    rivals: Document = {
        **_meeting(type_name, prefix, ranges),
        "begin": {"$lt": attempt.end},
        "end": {"$gt": attempt.begin},
    }
    older = UpdateMany({**rivals, "as_of": {"$lt": as_of}}, {"$set": {"contested": True}})
    # In this order, of two that begin at once at least the second sees the first.
    collection.bulk_write([InsertOne(_document(attempt)), older])
    newer = collection.find_one({**rivals, "as_of": {"$gt": as_of}}, {"_id": 1})
    return replace(attempt, contested=newer is not None)


def finish_attempt(collection: Collection[Document], attempt: Attempt, *, failed: bool = False) -> None:
    """Remove an attempt whose results are written, unless it is contested or has failed. Raises PyMongoError."""
    sure = not attempt.contested and not failed
    if sure and collection.delete_one({"_id": attempt.id, "contested": False}).deleted_count:
        return
    # Anew where it expired meanwhile.
    document = {**_document(attempt), "contested": True, "done": True}
    collection.replace_one({"_id": attempt.id}, document, upsert=True)


def read_attempts(
    collection: Collection[Document], type_name: str, prefix: str, ranges: Ranges = ALL_RANGES
) -> list[Attempt]:
    """The attempts of a tier at any of some device ranges that are on record. Raises PyMongoError."""
    return [_attempt(document) for document in collection.find(_meeting(type_name, prefix, ranges))]


def _meeting(type_name: str, prefix: str, ranges: Ranges) -> Document:
    """The attempts of a tier that may have a device in common with some ranges."""
    query: Document = {"type": type_name, "prefix": prefix}
    if ranges != ALL_RANGES:
        # None: of all, also where an older release wrote it.
        query["ranges"] = {"$in": [*sorted(ranges), None]}
    return query


def forget_attempt(collection: Collection[Document], attempt: Attempt) -> None:
    """Remove one whose results have been dealt with. Raises PyMongoError."""
    collection.delete_one({"_id": attempt.id})


def _document(attempt: Attempt) -> Document:
    return {
        "_id": attempt.id,
        "type": attempt.type,
        "prefix": attempt.prefix,
        "as_of": attempt.as_of,
        "begin": attempt.begin,
        "end": attempt.end,
        "devices": None if attempt.devices is None else list(attempt.devices),
        "ranges": None if attempt.ranges == ALL_RANGES else sorted(attempt.ranges),
        "contested": attempt.contested,
        "done": attempt.done,
        "at": datetime.now(UTC),
    }


def _attempt(document: Document) -> Attempt:
    devices, ranges = document["devices"], document.get("ranges")
    return Attempt(
        id=document["_id"],
        type=document["type"],
        prefix=document["prefix"],
        as_of=document["as_of"],
        begin=document["begin"],
        end=document["end"],
        devices=None if devices is None else tuple(devices),
        ranges=ALL_RANGES if ranges is None else frozenset(ranges),
        contested=document["contested"],
        done=document["done"],
    )
