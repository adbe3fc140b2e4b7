"""Readings of a repeated hour: what is stored of a device in a span, and moving one to the other time of its stamp."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from greenpower.mongo.client import Document
from greenpower.mongo.readings.late import STAMP_AGAIN
from greenpower.mongo.rollups.invalidations import Place, invalidate_async
from greenpower.mongo.schema.layout import EVENTS, INVALIDATIONS

READING_KEYS = {"timestamp": 1, "payload": 1, "received_at": 1}


async def readings_between(
    collection: AsyncCollection[Document], device: str, begin: datetime, end: datetime
) -> list[Document]:
    """The readings of a device in `[begin, end)`, in order of time: `_id`, `timestamp`, `payload`, `received_at`."""
    span = {"device_id": device, "timestamp": {"$gte": begin, "$lt": end}}
    return await collection.find(span, READING_KEYS).sort("timestamp", 1).to_list()


async def newest_between(
    collection: AsyncCollection[Document], device: str, begin: datetime | None, end: datetime
) -> Document | None:
    """The newest reading of a device before `end`, and not before `begin`, as `readings_between` gives them."""
    span: Document = {"$lt": end} if begin is None else {"$gte": begin, "$lt": end}
    found: Document | None = await collection.find_one(
        {"device_id": device, "timestamp": span}, READING_KEYS, sort=[("timestamp", -1)]
    )
    return found


async def move_reading(
    collection: AsyncCollection[Document], device: str, object_id: ObjectId, old: datetime, new: datetime
) -> bool:
    """Give a reading another time; False where there is one at that time, or it is gone. Raises PyMongoError."""
    where = {"_id": object_id, "device_id": device, "timestamp": old}
    try:
        result = await collection.update_one(where, {"$set": {"timestamp": new}, **STAMP_AGAIN})
    except DuplicateKeyError:
        return False
    # Moved by an earlier call whose answer was lost?
    return result.matched_count > 0 or await collection.count_documents({**where, "timestamp": new}) > 0


async def move_events(
    db: AsyncDatabase[Document], type_name: str, device: str, since: datetime, old: datetime, new: datetime
) -> None:
    """Have the events since a time that name a reading's old time name its new one. Raises PyMongoError."""
    where = {"device_id": device, "received_at": {"$gte": since}, "type": type_name, "timestamp": old}
    several = {"$type": "array"}
    await db[EVENTS].update_many({**where, "$nor": [{"timestamp": several}]}, {"$set": {"timestamp": new}})
    await db[EVENTS].update_many(
        {"$and": [where, {"timestamp": several}]},
        {"$set": {"timestamp.$[one]": new}},
        array_filters=[{"one": old}],
    )


async def invalidate_times(
    db: AsyncDatabase[Document], type_name: str, prefix: str, device: str, times: Sequence[datetime]
) -> None:
    """Have what was rolled up of a device at these times computed again. Raises PyMongoError."""
    places = {Place.of(type_name, prefix, device, time) for time in times}
    await invalidate_async(db[INVALIDATIONS], places)
