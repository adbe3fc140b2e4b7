"""Floor (b): how fast bare insert-many stores the documents of frames, a reading and an event each, journaled.

PyMongo's async client, batches of 1000, three in flight, each batch's readings before its events, the same indexes as
the product. The documents are made beforehand. Imports nothing of greenpower.
Prints one line of JSON: {"frames", "seconds", "rate"}.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson
import uvloop
from bson import ObjectId
from pymongo import AsyncMongoClient

from tools.bench.frames import FIELDS, TOPIC, make_frames, stamp_of

BATCH = 1000
IN_FLIGHT = 3
FOREVER = 2**31 - 1
EVENTS_TTL = 30 * 86_400

Document = dict[str, Any]


def make_documents(frames: list[bytes]) -> tuple[list[Document], list[Document]]:
    """The readings and the events of frames."""
    readings, events = [], []
    for payload in frames:
        decoded = orjson.loads(payload)
        now = datetime.now(UTC)
        reading = {
            "_id": ObjectId(),
            "device_id": decoded["id"],
            "topic": TOPIC,
            "timestamp": stamp_of(decoded["time"]),
            "received_at": now,
            "updated_at": now,
            "payload": {key: decoded[key] for key in FIELDS},
            "complete": True,
        }
        readings.append(reading)
        events.append({
            "_id": ObjectId(),
            "type": "rt",
            "topic": TOPIC,
            "received_at": now,
            "outcome": "stored",
            "device_id": decoded["id"],
            "timestamp": reading["timestamp"],
            "raw": payload.decode(),
        })  # fmt: skip
    return readings, events


async def make_indexes(db: Any) -> None:
    """Those of greenpower/mongo/schema/layout.py, on collections that are compressed as there."""
    for name in ("readings", "events"):
        await db.create_collection(name, storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}})
    await db.readings.create_index([("device_id", 1), ("timestamp", 1)], unique=True)
    await db.readings.create_index([("timestamp", 1)], expireAfterSeconds=FOREVER)
    await db.readings.create_index([("updated_at", 1)])
    await db.events.create_index([("received_at", 1)], expireAfterSeconds=EVENTS_TTL)
    await db.events.create_index([("device_id", 1), ("received_at", 1)])
    await db.events.create_index([("type", 1), ("received_at", 1)])
    await db.events.create_index([("topic", 1), ("received_at", 1)])
    added_nothing = {"outcome": {"$in": ["rejected", "noted", "duplicate"]}}
    await db.events.create_index([("outcome", 1), ("received_at", 1)], partialFilterExpression=added_nothing)


async def run(uri: str, name: str, count: int) -> dict[str, float]:
    readings, events = make_documents(make_frames(count))
    gc.freeze()
    async with AsyncMongoClient[Document](uri, w=1, journal=True) as client:
        db = client[name]
        await make_indexes(db)
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def store(start: int) -> None:
            async with slots:
                await db.readings.insert_many(readings[start : start + BATCH], ordered=False)
                await db.events.insert_many(events[start : start + BATCH], ordered=False)

        began = time.perf_counter()
        await asyncio.gather(*(store(start) for start in range(0, count, BATCH)))
        seconds = time.perf_counter() - began
        assert await db.readings.count_documents({}) == await db.events.count_documents({}) == count
        await client.drop_database(name)
    return {"frames": count, "seconds": seconds, "rate": count / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--name", default="bench_floor")
    parser.add_argument("--frames", type=int, default=50_000)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(run(given.uri, given.name, given.frames))))
    assert not [name for name in sys.modules if name.partition(".")[0] in ("greenpower", "plugins")]


if __name__ == "__main__":
    main()
