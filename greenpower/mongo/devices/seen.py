"""Devices seen: when each was first and last heard, and its newest reading.

One `SeenDocument` per device and type. Any frame moves `last_heard` (a rejected one and a heartbeat, too); only a
reading moves `last_reading`, its measured time. `greenpower.mongo.devices.status` writes the status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pymongo
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.devices.document import SeenDocument
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.schema.layout import CLOCKS, SEEN, SESSIONS

MAX_DEVICES_PER_WRITE = 1_000


@dataclass(slots=True)
class Sighting:
    """What is new of one device and type since the last save: when heard, the newest measured time, the interval.

    fields: of types whose values come one by one, the newest time of each field.
    """

    first_heard: datetime
    last_heard: datetime
    last_reading: datetime | None = None
    interval: float | None = None
    fields: dict[str, datetime] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class HeardDevice:
    """All that was heard of a device. types: names of data types. since, until: the first frame and the last one; None
    where the document does not say. measured: whether any reading was stored."""

    types: set[str]
    since: datetime | None = None
    until: datetime | None = None
    measured: bool = False


async def save_seen(collection: AsyncCollection[Document], seen: dict[tuple[str, str], Sighting]) -> None:
    """Store sightings: {(type name, device id): sighting}. Raises PyMongoError; safe to repeat."""
    updates = [_update(*key, sighting) for key, sighting in seen.items()]
    for first in range(0, len(updates), MAX_DEVICES_PER_WRITE):
        await collection.bulk_write(updates[first : first + MAX_DEVICES_PER_WRITE], ordered=False)


async def update_fields(
    collection: AsyncCollection[Document], type_name: str, times: Mapping[str, Mapping[str, datetime]]
) -> None:
    """Note when fields of devices that were seen before were measured: {device id: {field: time}}. Raises PyMongoError;
    safe to repeat."""
    updates = [
        UpdateOne({"_id": _key(type_name, device)}, {"$max": {f"fields.{name}": time for name, time in own.items()}})
        for device, own in times.items()
        if own
    ]
    for first in range(0, len(updates), MAX_DEVICES_PER_WRITE):
        await collection.bulk_write(updates[first : first + MAX_DEVICES_PER_WRITE], ordered=False)


def _update(type_name: str, device_id: str, sighting: Sighting) -> UpdateOne:
    newest: dict[str, Any] = {"last_heard": sighting.last_heard}
    if sighting.last_reading is not None:
        newest["last_reading"] = sighting.last_reading
    newest.update({f"fields.{name}": time for name, time in sighting.fields.items()})
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


def read_heard(collection: Collection[Document]) -> dict[str, HeardDevice]:
    """What was heard of each device, by id. Raises PyMongoError."""
    found: dict[str, HeardDevice] = {}
    keys = ("type", "device_id", "first_seen", "last_heard", "last_reading")
    for document in collection.find({}, dict.fromkeys(keys, 1)):
        device = found.setdefault(document["device_id"], HeardDevice(types=set()))
        device.types.add(document["type"])
        since, until = document.get("first_seen"), document.get("last_heard")
        device.since = min(filter(None, (device.since, since)), default=None)
        device.until = max(filter(None, (device.until, until)), default=None)
        device.measured = device.measured or "last_reading" in document
    return found


def forget_seen(collection: Collection[Document], device_id: str, types: Iterable[str]) -> None:
    """Forget when a device was heard with any of these types. Raises PyMongoError, soon."""
    with pymongo.timeout(QUERY_SECONDS):
        collection.delete_many({"_id": {"$in": [_key(type_name, device_id) for type_name in types]}})


def forget_devices(db: Database[Document], device_ids: Iterable[str], types: Iterable[str]) -> None:
    """Forget devices that are strangers: when they were heard with any of these types, their clocks and their
    sessions. Their readings stay. Raises PyMongoError; safe to repeat."""
    devices, names = list(device_ids), list(types)
    for first in range(0, len(devices), MAX_DEVICES_PER_WRITE):
        chunk = devices[first : first + MAX_DEVICES_PER_WRITE]
        for collection in (SEEN, SESSIONS):
            db[collection].delete_many({"_id": {"$in": [_key(name, device) for device in chunk for name in names]}})
        db[CLOCKS].delete_many({"_id": {"$in": chunk}})


def _key(type_name: str, device_id: str) -> str:
    return f"{type_name}|{device_id}"
