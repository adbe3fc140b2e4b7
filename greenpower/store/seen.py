"""Devices seen: when each was first and last heard, and its newest reading.

A document a device and type: {_id: "type|device", type, device_id, first_seen, last_heard, last_reading?}. Any sign of
life moves `last_heard` (a rejected frame, a heartbeat); only a reading moves `last_reading`, its measured time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

from greenpower.store.client import Document


@dataclass(slots=True)
class Sighting:
    """What is new of one device and type since the last save: times of arrival, and the newest measured time."""

    first_heard: datetime
    last_heard: datetime
    last_reading: datetime | None = None


async def save_seen(collection: AsyncCollection[Document], seen: dict[tuple[str, str], Sighting]) -> None:
    """Write sightings down: {(type name, device id): sighting}. Raises PyMongoError; safe to repeat."""
    if seen:
        await collection.bulk_write([_update(*key, sighting) for key, sighting in seen.items()], ordered=False)


def _update(type_name: str, device_id: str, sighting: Sighting) -> UpdateOne:
    newest: dict[str, Any] = {"last_heard": sighting.last_heard}
    if sighting.last_reading is not None:
        newest["last_reading"] = sighting.last_reading
    change = {
        "$setOnInsert": {"type": type_name, "device_id": device_id},
        "$min": {"first_seen": sighting.first_heard},
        "$max": newest,
    }
    return UpdateOne({"_id": f"{type_name}|{device_id}"}, change, upsert=True)


def read_seen(collection: Collection[Document], type_name: str | None = None) -> Iterable[Document]:
    """All devices seen, those of one type or of all, by id."""
    query = {} if type_name is None else {"type": type_name}
    return collection.find(query).sort("_id")
