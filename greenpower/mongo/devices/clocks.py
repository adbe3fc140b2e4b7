"""Device clocks: the offset of each wrong one, the stamp of each stuck one, and the usual lag of all.

One `ClockDocument` per device. Offsets are written before the readings that use them, and the first writer wins, so
that several processes and redeliveries agree. Earlier offsets are kept for frames that arrive again after the clock
changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from greenpower.mongo.client import Document

MILLISECOND = timedelta(milliseconds=1)
EARLIER_KEPT = 8
# A process that is gone keeps others from a device's repeated hour for so long.
MAX_CHOOSING = timedelta(seconds=15)


async def offsets(collection: AsyncCollection[Document], devices: Iterable[str]) -> dict[str, tuple[timedelta, ...]]:
    """The offsets that are known of these devices: the one in force, then earlier ones, newest first."""
    query = {"_id": {"$in": list(devices)}, "offset_ms": {"$exists": True}}
    return {
        document["_id"]: tuple(
            timedelta(milliseconds=offset_ms) for offset_ms in (document["offset_ms"], *document.get("earlier_ms", ()))
        )
        async for document in collection.find(query, {"offset_ms": 1, "earlier_ms": 1})
    }


async def agree_offset(
    collection: AsyncCollection[Document], device: str, wanted: timedelta, instead_of: timedelta | None
) -> timedelta:
    """Write a device's offset unless another writer was first; returns the one in force.

    instead_of: the offset that no longer fits, None if there was none.
    """
    offset_ms = wanted // MILLISECOND
    now = datetime.now(UTC)
    before: Document = {"offset_ms": {"$exists": False}}
    change: Document = {"$set": {"offset_ms": offset_ms, "offset_since": now, "updated_at": now}}
    if instead_of is not None:
        before = {"offset_ms": instead_of // MILLISECOND}
        change["$push"] = {"earlier_ms": {"$each": [instead_of // MILLISECOND], "$position": 0, "$slice": EARLIER_KEPT}}
    with suppress(DuplicateKeyError):  # there is an offset already: another process was first
        await collection.update_one({"_id": device, **before}, change, upsert=instead_of is None)
    found = await collection.find_one({"_id": device}, {"offset_ms": 1})
    return timedelta(milliseconds=offset_ms if found is None else found.get("offset_ms", offset_ms))


async def stuck_stamps(collection: AsyncCollection[Document]) -> dict[tuple[str, str], datetime]:
    """The stamp in UTC that the frames of a type repeat: {(type name, device id): stamp}."""
    query = {"stuck": {"$exists": True}}
    return {
        (type_name, document["_id"]): stamp
        async for document in collection.find(query, {"stuck": 1})
        for type_name, stamp in document["stuck"].items()
    }


async def set_stuck(collection: AsyncCollection[Document], type_name: str, device: str, stamp: datetime | None) -> None:
    """Note that a device's stamps in frames of a type repeat; None: that they move again."""
    field = f"stuck.{type_name}"
    change = {"$unset": {field: ""}} if stamp is None else {"$set": {field: stamp}}
    await collection.update_one({"_id": device}, {**change, "$currentDate": {"updated_at": True}}, upsert=True)


async def save_lags(collection: AsyncCollection[Document], lags: dict[str, float]) -> None:
    """Keep the usual lag (arrival minus stamp, seconds) of devices."""
    now = datetime.now(UTC)
    updates = [
        UpdateOne({"_id": device}, {"$set": {"lag_ms": round(lag * 1000), "updated_at": now}}, upsert=True)
        for device, lag in lags.items()
    ]
    if updates:
        await collection.bulk_write(updates, ordered=False)


async def set_offset(collection: AsyncCollection[Document], device: str, offset: timedelta) -> None:
    """Set a device's offset whatever it was: a replay has read its stamps again."""
    now = datetime.now(UTC)
    change = {"$set": {"offset_ms": offset // MILLISECOND, "offset_since": now, "updated_at": now}}
    await collection.update_one({"_id": device}, change, upsert=True)


async def begin_choosing(collection: AsyncCollection[Document], device: str, owner: ObjectId) -> bool:
    """Keep other batches from deciding on a device's stamps of a repeated hour; False while another one does so."""
    now = datetime.now(UTC)
    free = [{"choosing": {"$exists": False}}, {"choosing.owner": owner}, {"choosing.until": {"$lt": now}}]
    change = {"$set": {"choosing": {"owner": owner, "until": now + MAX_CHOOSING}, "updated_at": now}}
    try:
        result = await collection.update_one({"_id": device, "$or": free}, change, upsert=True)
    except DuplicateKeyError:
        return False
    return result.matched_count > 0 or result.upserted_id is not None


async def end_choosing(collection: AsyncCollection[Document], devices: Iterable[str], owner: ObjectId) -> None:
    """Let others decide: what this batch decided is stored."""
    query = {"_id": {"$in": list(devices)}, "choosing.owner": owner}
    await collection.update_many(query, {"$unset": {"choosing": ""}})
