"""The status of devices seen: `status` and `status_since` in their documents; of several processes, one changes it.

What belongs here: the writes. What does not: the verdict (`greenpower.measure.presence`), and the
history, which is in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.client import Document

ONLINE, OFFLINE = "online", "offline"


async def bring_online(
    collection: AsyncCollection[Document], devices: Iterable[tuple[str, str]], now: datetime
) -> list[Document]:
    """Devices, (type, device id), gave a sign of life: those that were not online are now. Returns these documents."""
    ids = [f"{type_name}|{device_id}" for type_name, device_id in devices]
    if not ids:
        return []
    query = {"_id": {"$in": ids}, "status": {"$ne": ONLINE}}
    found = [document["_id"] async for document in collection.find(query, {"_id": 1})]
    return await _change(collection, [{"_id": one, "status": {"$ne": ONLINE}} for one in found], ONLINE, now)


async def take_offline(
    collection: AsyncCollection[Document], silent: Iterable[Document], now: datetime
) -> list[Document]:
    """Devices were found silent: they are offline, but for those that were heard since. Returns what has changed."""
    queries = [
        {"_id": document["_id"], "last_heard": document["last_heard"], "status": {"$ne": OFFLINE}}
        for document in silent
    ]
    return await _change(collection, queries, OFFLINE, now)


async def _change(
    collection: AsyncCollection[Document], queries: list[Document], status: str, now: datetime
) -> list[Document]:
    """Change the documents that still match, and find out which of them it was this call that changed."""
    if not queries:
        return []
    token = uuid4().hex
    change = {"$set": {"status": status, "status_since": now, "status_by": token}}
    await collection.bulk_write([UpdateOne(query, change) for query in queries], ordered=False)
    ids = [query["_id"] for query in queries]
    return [document async for document in collection.find({"_id": {"$in": ids}, "status_by": token})]
