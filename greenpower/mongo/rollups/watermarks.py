"""Watermarks: how far each tier is computed, what of each collection is whole, and the clock that orders results.

One document per tier, and one per raw collection, whose prefix is empty: {_id, type, prefix, watermark, complete_from,
left_alone, ran_at, error, error_at}. Windows that end at the watermark or before are done. From `complete_from` on
nothing has expired yet: what is computed from older documents would lack some.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo import ReturnDocument
from pymongo.collection import Collection

from greenpower.mongo.client import Document

CLOCK = "clock"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RETENTION_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a tier. watermark: None before the first run. error: of the last run, empty if it went well."""

    type: str
    prefix: str
    watermark: datetime | None = None
    complete_from: datetime = EPOCH
    left_alone: int = 0
    ran_at: datetime | None = None
    error: str = ""


def key(type_name: str, prefix: str) -> str:
    """The `_id` of a tier's document."""
    return f"{type_name}/{prefix}"


def read_progress(collection: Collection[Document], type_name: str, prefix: str) -> Progress:
    """The state of a tier, or of a raw collection where the prefix is empty. Raises PyMongoError."""
    return _progress(type_name, prefix, collection.find_one({"_id": key(type_name, prefix)}) or {})


def read_type_progress(
    collection: Collection[Document], type_name: str, prefixes: Iterable[str]
) -> dict[str, Progress]:
    """The state of several tiers of a type, by prefix, read at once. Raises PyMongoError."""
    wanted = {key(type_name, prefix): prefix for prefix in prefixes}
    found = {document["_id"]: document for document in collection.find({"_id": {"$in": list(wanted)}})}
    return {prefix: _progress(type_name, prefix, found.get(name, {})) for name, prefix in wanted.items()}


def _progress(type_name: str, prefix: str, found: Document) -> Progress:
    return Progress(
        type=type_name,
        prefix=prefix,
        watermark=found.get("watermark"),
        complete_from=found.get("complete_from", EPOCH),
        left_alone=found.get("left_alone", 0),
        ran_at=found.get("ran_at"),
        error=found.get("error", ""),
    )


def move_watermark(collection: Collection[Document], type_name: str, prefix: str, to: datetime) -> None:
    """Move a watermark forward; it never goes back."""
    _change(collection, type_name, prefix, {"$max": {"watermark": to}})


def note_horizon(
    collection: Collection[Document], type_name: str, prefix: str, now: datetime, ttl: int, at_least: datetime = EPOCH
) -> datetime:
    """Keep on record from when on a collection is whole, and return it. ttl: its retention in seconds, 0 for ever.

    A longer retention does not bring back what has expired, so this never goes back.
    """
    horizon = max(EPOCH, at_least)
    if ttl:
        kept = timedelta(seconds=ttl)
        horizon = max(horizon, now - kept + min(RETENTION_MARGIN, kept / 10))
    document = collection.find_one_and_update(
        {"_id": key(type_name, prefix)},
        {"$max": {"complete_from": horizon}, "$setOnInsert": {"type": type_name, "prefix": prefix}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert document is not None
    found: datetime = document["complete_from"]
    return found


def note_run(
    collection: Collection[Document],
    type_name: str,
    prefix: str,
    now: datetime,
    *,
    error: str = "",
    left_alone: int = 0,
) -> None:
    """Keep on record that a run ended, and how. left_alone: windows that could not be computed from anything whole."""
    change: Document = {"$set": {"ran_at": now, "error": error}}
    if left_alone:
        change["$inc"] = {"left_alone": left_alone}
    if error:
        change["$set"]["error_at"] = now
    _change(collection, type_name, prefix, change)


def _change(collection: Collection[Document], type_name: str, prefix: str, change: Document) -> None:
    started = {**change.pop("$setOnInsert", {}), "type": type_name, "prefix": prefix}
    collection.update_one({"_id": key(type_name, prefix)}, {**change, "$setOnInsert": started}, upsert=True)


def take_as_of(collection: Collection[Document]) -> datetime:
    """A time that is later than any that was given out before, by the database's clock.

    Taken before the sources are read, it orders results by what they can have seen, whatever the hosts' clocks say: of
    two results for one bucket the later one stays.
    """
    document = collection.find_one_and_update(
        {"_id": CLOCK},
        [{"$set": {"now": {"$max": [{"$add": [{"$ifNull": ["$now", EPOCH]}, 1]}, "$$NOW"]}}}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert document is not None
    found: datetime = document["now"]
    return found
