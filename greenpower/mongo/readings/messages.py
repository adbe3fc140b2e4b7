"""Messages with an id of their own and no stamp: the time that each was given when it first came.

Whoever stores a message first gives it its time, before its reading is written; when it comes again it gets the same
one, so that it meets its reading and adds nothing. It is known by what it says, too: a device that counts its messages
from 1 after each start uses an id for another message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import orjson
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.client import Document
from greenpower.mongo.readings.store import Number


class MessageKey(NamedTuple):
    """What makes a message unique."""

    type_name: str
    device_id: str
    message_id: str
    payload: Mapping[str, Number]

    @property
    def text(self) -> str:
        """The key as it is stored."""
        said = orjson.dumps([*self[:3], sorted(self.payload.items())])
        return sha256(said).hexdigest()


async def agree_times(
    collection: AsyncCollection[Document], wanted: Mapping[str, datetime], received_at: datetime
) -> dict[str, datetime]:
    """The time of each message: that which it was given first, else the one that is wanted. {key's text: time}.

    Raises PyMongoError; calling it again is safe.
    """
    changes = [
        UpdateOne({"_id": key}, {"$setOnInsert": {"timestamp": time, "received_at": received_at}}, upsert=True)
        for key, time in wanted.items()
    ]
    await collection.bulk_write(changes, ordered=False)
    found = collection.find({"_id": {"$in": list(wanted)}}, {"timestamp": 1})
    return {document["_id"]: document["timestamp"] async for document in found}
