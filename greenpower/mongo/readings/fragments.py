"""Parts that name no device: which device a (type, topic, stamp) belongs to, and the parts that wait to be told.

Both live in one small collection with a short retention. A part is written before its identity is looked up, and an
identity before its parts are looked up, so that of two processes one at least sees both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.datatype import DataType
from greenpower.mongo.bulk import insert_each
from greenpower.mongo.client import Document


class PartKey(NamedTuple):
    """What the parts of one sample have in common."""

    datatype: DataType
    topic: str
    stamp: datetime

    @property
    def text(self) -> str:
        return f"{self.datatype.name}|{self.topic}|{self.stamp.isoformat()}"


async def name_devices(collection: AsyncCollection[Document], named: dict[PartKey, str], received_at: datetime) -> None:
    """Write down whose samples these are."""
    await collection.bulk_write(
        [
            UpdateOne(
                {"_id": key.text}, {"$setOnInsert": {"device_id": device, "received_at": received_at}}, upsert=True
            )
            for key, device in named.items()
        ],
        ordered=False,
    )


async def devices_of(collection: AsyncCollection[Document], keys: Iterable[PartKey]) -> dict[str, str]:
    """The devices of samples, by the key's text, where they are known."""
    query = {"_id": {"$in": [key.text for key in keys]}}
    return {document["_id"]: document["device_id"] async for document in collection.find(query)}


async def keep_parts(collection: AsyncCollection[Document], parts: Sequence[Document]) -> None:
    """Keep parts (documents with `_id`, `event`, `key`, `payload`, `complete`, `received_at`) until their device is
    known."""
    await insert_each(collection, parts)


async def parts_of(collection: AsyncCollection[Document], keys: Iterable[PartKey]) -> list[Document]:
    """The parts that wait for these samples' device."""
    return [document async for document in collection.find({"key": {"$in": [key.text for key in keys]}})]


async def forget_parts(collection: AsyncCollection[Document], ids: Sequence[ObjectId]) -> None:
    """Let go of parts that are stored."""
    await collection.delete_many({"_id": {"$in": ids}})
