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
# What one command holds, and one filter.
MAX_STATUSES_PER_WRITE = 1_000


async def bring_online(
    collection: AsyncCollection[Document], devices: Iterable[tuple[str, str]], now: datetime
) -> list[Document]:
    """Devices, (type, device id), were heard: those that were not online are now. Returns their documents."""
    ids = [f"{type_name}|{device_id}" for type_name, device_id in devices]
    changed: list[Document] = []
    for first in range(0, len(ids), MAX_STATUSES_PER_WRITE):
        query = {"_id": {"$in": ids[first : first + MAX_STATUSES_PER_WRITE]}, "status": {"$ne": ONLINE}}
        found = [document["_id"] async for document in collection.find(query, {"_id": 1})]
        changed += await _change(collection, [{"_id": one, "status": {"$ne": ONLINE}} for one in found], ONLINE, now)
    return changed


async def take_offline(
    collection: AsyncCollection[Document], silent: Iterable[Document], now: datetime
) -> list[Document]:
    """Devices were silent: they are offline, except those that were heard since. Returns the documents that changed."""
    queries = [
        {"_id": document["_id"], "last_heard": document["last_heard"], "status": {"$ne": OFFLINE}}
        for document in silent
    ]
    changed: list[Document] = []
    for first in range(0, len(queries), MAX_STATUSES_PER_WRITE):
        changed += await _change(collection, queries[first : first + MAX_STATUSES_PER_WRITE], OFFLINE, now)
    return changed


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
