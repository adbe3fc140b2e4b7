"""Devices seen: when each was first and last heard, and its newest reading.

One `SeenDocument` per device and type. Any frame moves `last_heard` (a rejected one and a heartbeat, too); only a
reading moves `last_reading`, its measured time. `greenpower.mongo.devices.status` writes the status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import pymongo
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.devices.document import SeenDocument
from greenpower.mongo.query import QUERY_SECONDS


@dataclass(slots=True)
class Sighting:
    """What is new of one device and type since the last save: when heard, the newest measured time, the interval."""

    first_heard: datetime
    last_heard: datetime
    last_reading: datetime | None = None
    interval: float | None = None


async def save_seen(collection: AsyncCollection[Document], seen: dict[tuple[str, str], Sighting]) -> None:
    """Store sightings: {(type name, device id): sighting}. Raises PyMongoError; safe to repeat."""
    if seen:
        await collection.bulk_write([_update(*key, sighting) for key, sighting in seen.items()], ordered=False)


def _update(type_name: str, device_id: str, sighting: Sighting) -> UpdateOne:
    newest: dict[str, Any] = {"last_heard": sighting.last_heard}
    if sighting.last_reading is not None:
        newest["last_reading"] = sighting.last_reading
    change: Document = {
        "$setOnInsert": {"type": type_name, "device_id": device_id},
        "$min": {"first_seen": sighting.first_heard},
        "$max": newest,
    }
    if sighting.interval is not None:
        change["$set"] = {"interval": sighting.interval}
    return UpdateOne({"_id": _key(type_name, device_id)}, change, upsert=True)


def read_seen(collection: Collection[Document], type_name: str | None = None) -> Iterable[SeenDocument]:
    """All devices seen, those of one type or of all, by id."""
    query = {} if type_name is None else {"type": type_name}
    return cast("Iterable[SeenDocument]", collection.find(query).sort("_id"))


def sightings(collection: Collection[Document], keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], SeenDocument]:
    """The documents of some (type name, device id), those that there are. Raises PyMongoError, soon."""
    wanted = [_key(*key) for key in keys]
    if not wanted:
        return {}
    with pymongo.timeout(QUERY_SECONDS):
        found = cast("Iterable[SeenDocument]", collection.find({"_id": {"$in": wanted}}))
        return {(document["type"], document["device_id"]): document for document in found}


def read_types(collection: Collection[Document]) -> dict[str, set[str]]:
    """The types that each device was heard with. Raises PyMongoError."""
    found: dict[str, set[str]] = {}
    for document in collection.find({}, {"type": 1, "device_id": 1}):
        found.setdefault(document["device_id"], set()).add(document["type"])
    return found


def forget_seen(collection: Collection[Document], device_id: str, types: Iterable[str]) -> None:
    """Forget when a device was heard with any of these types. Raises PyMongoError, soon."""
    with pymongo.timeout(QUERY_SECONDS):
        collection.delete_many({"_id": {"$in": [_key(type_name, device_id) for type_name in types]}})


def _key(type_name: str, device_id: str) -> str:
    return f"{type_name}|{device_id}"
