"""Reading what rollups are computed from: documents of a stretch of time, and samples around it by count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING, CursorType
from pymongo.collection import Collection

from greenpower.mongo.client import Document

DEVICES_PER_QUERY = 500
DOCUMENTS_PER_BATCH = 2_000
# A counter that is not among a device's neighbouring readings is looked for no further away than this.
MAX_LOOK_BACK = timedelta(days=35)
READING = {"_id": 0, "device_id": 1, "timestamp": 1, "payload": 1}
BUCKET = {**READING, "stats": 1, "coverage": 1, "final": 1}

Key = tuple[str, datetime]


def _within(begin: datetime, end: datetime, devices: Sequence[str] | None) -> Document:
    query: Document = {"timestamp": {"$gte": begin, "$lt": end}}
    if devices is not None:
        query["device_id"] = devices[0] if len(devices) == 1 else {"$in": list(devices)}
    return query


def by_device(
    collection: Collection[Document],
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None,
    projection: dict[str, Any] | None,
) -> dict[str, list[Document]]:
    """The documents of `[begin, end)` by device, in order of time. devices: None for all."""
    found: dict[str, list[Document]] = {}
    order = [("timestamp", ASCENDING)] if devices is None else [("device_id", ASCENDING), ("timestamp", ASCENDING)]
    # Streaming, the server reads on while a batch is decoded here; a router does not know how.
    kind = CursorType.NON_TAILABLE if collection.database.client.is_mongos else CursorType.EXHAUST
    within = _within(begin, end, devices)
    cursor = collection.find(within, projection, sort=order, batch_size=DOCUMENTS_PER_BATCH, cursor_type=kind)
    for document in cursor:
        found.setdefault(document["device_id"], []).append(document)
    return found


def keys(collection: Collection[Document], begin: datetime, end: datetime, devices: Sequence[str] | None) -> set[Key]:
    """Which documents there are in `[begin, end)`."""
    cursor = collection.find(_within(begin, end, devices), {"_id": 0, "device_id": 1, "timestamp": 1})
    return {(document["device_id"], document["timestamp"]) for document in cursor}


def devices_within(collection: Collection[Document], begin: datetime, end: datetime) -> list[str]:
    """The devices that have documents in `[begin, end)`."""
    return sorted(collection.distinct("device_id", _within(begin, end, None)))


def count_within(
    collection: Collection[Document],
    begin: datetime,
    end: datetime,
    limit: int | None = None,
    *,
    devices: Sequence[str] | None = None,
) -> int:
    """How many documents there are in `[begin, end)`, counted up to `limit`. devices: None for all."""
    options: dict[str, Any] = {} if limit is None else {"limit": limit}
    if devices is None:
        options["hint"] = [("timestamp", ASCENDING)]
    return collection.count_documents(_within(begin, end, devices), **options)


def first_time(collection: Collection[Document], since: datetime | None = None) -> datetime | None:
    """The earliest timestamp that is not before `since`."""
    query: Document = {} if since is None else {"timestamp": {"$gte": since}}
    return _time(collection, query, ASCENDING)


def any_before(collection: Collection[Document], time: datetime) -> bool:
    """Whether there is any document before a time."""
    return _time(collection, {"timestamp": {"$lt": time}}, ASCENDING) is not None


def _time(collection: Collection[Document], query: Document, direction: int) -> datetime | None:
    found = collection.find_one(query, {"_id": 0, "timestamp": 1}, sort=[("timestamp", direction)])
    return None if found is None else found["timestamp"]


def newest_before(
    collection: Collection[Document], devices: Sequence[str], time: datetime, limit: int
) -> Iterator[tuple[str, list[Document]]]:
    """For each device its newest `limit` readings before a time, in order. One query for many devices."""
    for first in range(0, len(devices), DEVICES_PER_QUERY):
        part = devices[first : first + DEVICES_PER_QUERY]
        pipeline: list[Document] = [
            {"$documents": [{"device_id": {"$literal": device}} for device in part]},
            {
                "$lookup": {
                    "from": collection.name,
                    "let": {"device": "$device_id"},
                    "pipeline": [
                        {"$match": {"$expr": {"$eq": ["$device_id", "$$device"]}, "timestamp": {"$lt": time}}},
                        {"$sort": {"timestamp": DESCENDING}},
                        {"$limit": limit},
                        {"$project": {"_id": 0, "timestamp": 1, "payload": 1}},
                    ],
                    "as": "readings",
                }
            },
        ]
        for row in collection.database.aggregate(pipeline):
            yield row["device_id"], row["readings"][::-1]


def neighbours(
    collection: Collection[Document], device: str, time: datetime, limit: int, *, before: bool, field: str | None = None
) -> list[Document]:
    """A device's `limit` readings next to a time, in order: those before it, or those from it on.

    field: only readings with a number there, and only that number; before a time no further away than `MAX_LOOK_BACK`.
    """
    side: Document = {"$lt": time} if before else {"$gte": time}
    query: Document = {"device_id": device, "timestamp": side}
    shown: Document = {"_id": 0, "timestamp": 1, "payload": 1}
    if field is not None:
        if before:
            side["$gte"] = time - MAX_LOOK_BACK
        query[f"payload.{field}"] = {"$type": "number"}
        shown = {"_id": 0, "timestamp": 1, f"payload.{field}": 1}
    found = list(collection.find(query, shown).sort("timestamp", DESCENDING if before else ASCENDING).limit(limit))
    return found[::-1] if before else found
