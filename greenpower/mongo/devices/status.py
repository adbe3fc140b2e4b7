"""The status of devices seen, in their documents. Where several processes see a change, one of them writes it.

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
    """Devices, (type, device id), were heard: those that were not online are now. Returns their documents."""
    ids = [f"{type_name}|{device_id}" for type_name, device_id in devices]
    if not ids:
        return []
    query = {"_id": {"$in": ids}, "status": {"$ne": ONLINE}}
    found = [document["_id"] async for document in collection.find(query, {"_id": 1})]
    return await _change(collection, [{"_id": one, "status": {"$ne": ONLINE}} for one in found], ONLINE, now)


async def take_offline(
    collection: AsyncCollection[Document], silent: Iterable[Document], now: datetime
) -> list[Document]:
    """Devices were silent: they are offline, except those that were heard since. Returns the documents that changed."""
    queries = [
        {"_id": document["_id"], "last_heard": document["last_heard"], "status": {"$ne": OFFLINE}}
        for document in silent
    ]
    return await _change(collection, queries, OFFLINE, now)


async def _change(
    collection: AsyncCollection[Document], queries: list[Document], status: str, now: datetime
) -> list[Document]:
    """Change the documents that still match. Returns those that this call changed."""
    if not queries:
        return []
    token = uuid4().hex
    change = {"$set": {"status": status, "status_since": now, "status_by": token}}
    await collection.bulk_write([UpdateOne(query, change) for query in queries], ordered=False)
    ids = [query["_id"] for query in queries]
    return [document async for document in collection.find({"_id": {"$in": ids}, "status_by": token})]
