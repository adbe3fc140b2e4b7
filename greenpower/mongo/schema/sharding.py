"""Sharding: the key by which each collection is split over shards, and splitting them.

What belongs here: the keys and why they fit the unique indexes. What does not: zones, balancing, how many shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pymongo import ASCENDING, HASHED, MongoClient

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import (
    CLOCKS,
    DEVICE_SETTINGS,
    ENERGY_DAYS,
    EVENTS,
    INCIDENTS,
    INTERVALS,
    INVALIDATIONS,
    PARTS,
    SEEN,
    SESSIONS,
)

# Frames of no device are together; `received_at` splits them.
BY_ARRIVAL = {"device_id": ASCENDING, "received_at": ASCENDING}
BY_READING = {"device_id": ASCENDING, "timestamp": ASCENDING}
# Written by `_id`, which begins with the device or with its type.
BY_ID = {"_id": ASCENDING}
# Written by `_id`, which begins with a time: hashed, because otherwise all new documents would go to one shard.
BY_HASH = {"_id": HASHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """How a collection is split. unique: the key is its unique index."""

    collection: str
    key: Mapping[str, int | str]
    unique: bool = False

    def text(self, database: str) -> str:
        """The call in mongosh."""
        key = ", ".join(f'"{name}": {value!r}'.replace("'", '"') for name, value in self.key.items())
        return f'sh.shardCollection("{database}.{self.collection}", {{{key}}}, {"true" if self.unique else "false"})'


def shards(datatypes: Iterable[DataType]) -> Iterator[Shard]:
    """The collections that grow with frames or meters. Each key leads its unique index, as the server demands.

    Collections with one document per tier, type or run stay on the database's first shard.
    """
    for datatype in datatypes:
        for collection in datatype.collections:
            yield Shard(collection=collection, key=BY_READING, unique=True)
    yield Shard(collection=EVENTS, key=BY_ARRIVAL)
    for collection in (SEEN, CLOCKS, DEVICE_SETTINGS, SESSIONS):
        yield Shard(collection=collection, key=BY_ID)
    for collection in (INVALIDATIONS, PARTS):
        yield Shard(collection=collection, key=BY_HASH)
    for collection in (INCIDENTS, INTERVALS, ENERGY_DAYS):
        yield Shard(collection=collection, key={"type": ASCENDING, "device_id": ASCENDING})


def script(database: str, datatypes: Iterable[DataType]) -> list[str]:
    """What to paste into mongosh on a router whose database has its indexes."""
    return [f'sh.enableSharding("{database}")', *(shard.text(database) for shard in shards(datatypes))]


def is_router(client: MongoClient[Document]) -> bool:
    """Whether the client is connected to a mongos. Raises PyMongoError."""
    return client.admin.command("hello").get("msg") == "isdbgrid"


def apply(client: MongoClient[Document], datatypes: Iterable[DataType], settings: Settings) -> list[str]:
    """Split the collections that are not split yet, on a router. Returns a line for each. Safe to repeat.

    Raises PyMongoError.
    """
    name = settings.mongo_db_name
    done = []
    client.admin.command("enableSharding", name)
    known = {document["_id"] for document in client["config"]["collections"].find({}, {"_id": 1})}
    for shard in shards(datatypes):
        place = f"{name}.{shard.collection}"
        if place in known:
            continue
        if shard.key == BY_HASH:
            # Of a collection that is not empty the server wants the index first.
            client[name][shard.collection].create_index([("_id", HASHED)])
        client.admin.command("shardCollection", place, key=shard.key, unique=shard.unique)
        done.append(f"{shard.collection}: split by {', '.join(shard.key)}")
    return done
