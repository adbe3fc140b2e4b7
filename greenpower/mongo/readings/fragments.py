"""Fragments that name no device: which device a (type, topic, stamp) belongs to, and the fragments that wait for it.

Both live in one small collection with a short retention. A fragment is written before its device is looked up, and a
device before its fragments are looked up, so that of two processes one at least sees both.
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


class SampleKey(NamedTuple):
    """What the fragments of one sample have in common."""

    datatype: DataType
    topic: str
    stamp: datetime

    @property
    def text(self) -> str:
        """The key as it is stored."""
        return f"{self.datatype.name}|{self.topic}|{self.stamp.isoformat()}"


async def name_devices(
    collection: AsyncCollection[Document], named: dict[SampleKey, str], received_at: datetime
) -> None:
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


async def devices_of(collection: AsyncCollection[Document], keys: Iterable[SampleKey]) -> dict[str, str]:
    """The devices of samples, by the key's text, where they are known."""
    query = {"_id": {"$in": [key.text for key in keys]}}
    return {document["_id"]: document["device_id"] async for document in collection.find(query)}


async def keep_fragments(collection: AsyncCollection[Document], fragments: Sequence[Document]) -> None:
    """Keep fragments until their device is known: documents with `_id`, `event`, `key`, `payload`, `complete`,
    `received_at`."""
    await insert_each(collection, fragments)


async def fragments_of(collection: AsyncCollection[Document], keys: Iterable[SampleKey]) -> list[Document]:
    """The fragments that wait for these samples' device."""
    return [document async for document in collection.find({"key": {"$in": [key.text for key in keys]}})]


async def forget_fragments(collection: AsyncCollection[Document], ids: Sequence[ObjectId]) -> None:
    """Delete fragments that are stored."""
    await collection.delete_many({"_id": {"$in": ids}})
