"""Filling Redis with the newest readings from MongoDB, after it lost them or an ingest process ended in a hurry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from itertools import islice

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from greenpower.bus.keys import REBUILDING, WHOLE
from greenpower.bus.latest import MAX_DEVICES_PER_TYPE, Latest
from greenpower.bus.message import Message, reading_message
from greenpower.loops import TaskLoop
from greenpower.mongo.client import Document
from greenpower.mongo.readings.gathered import NewestValues, newest_of
from greenpower.mongo.schema.layout import SEEN

log = logging.getLogger(__name__)

DEVICES_PER_READ = 100
# Much longer than one read takes: the holder renews the lock with each.
LOCK_SECONDS = 30
RETRY_SECONDS = 2.0


class Rebuild:
    """Reads the newest reading of every device that was seen. types: {type name: collection}.

    gathered: the types whose values come one by one.
    """

    def __init__(
        self,
        db: AsyncDatabase[Document],
        types: dict[str, str],
        latest: Latest,
        redis: Redis,
        gathered: Collection[str] = (),
    ) -> None:
        self._db = db
        self._types = types
        self._latest = latest
        self._redis = redis
        self._gathered = frozenset(gathered)

    async def run(self, lost: asyncio.Event, loop: TaskLoop) -> None:
        """Fill Redis at once, and again whenever it lost what it kept, until cancelled."""
        lost.set()
        while True:
            loop.advance()
            if lost.is_set():
                lost.clear()
                try:
                    await self.fill()
                except (PyMongoError, RedisError, OSError) as error:
                    log.warning("the newest readings cannot be put into Redis yet: %.200s", error)
                    lost.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def fill(self) -> None:
        """Fill Redis once; newer readings that come meanwhile win. Raises PyMongoError, RedisError.

        Where another process is doing it, there is nothing to do. A type that Redis refuses does not keep the others
        from being filled.
        """
        refused: ResponseError | None = None
        count = 0
        if not await self._redis.set(REBUILDING, "1", nx=True, ex=LOCK_SECONDS):
            return
        try:
            for type_name, collection in self._types.items():
                try:
                    count += await self._fill(type_name, collection)
                except ResponseError as error:
                    refused = error
            if refused is not None:
                raise refused
            await self._redis.set(WHOLE, "1")
        finally:
            await self._redis.delete(REBUILDING)
        log.info("the newest readings of %d devices are in Redis", count)

    async def _fill(self, type_name: str, collection: str) -> int:
        cursor = self._db[SEEN].find({"type": type_name, "last_reading": {"$exists": True}}, {"device_id": 1})
        devices = [
            document["device_id"] async for document in cursor.sort("last_reading", -1).limit(MAX_DEVICES_PER_TYPE)
        ]
        remaining = iter(devices)
        while chunk := list(islice(remaining, DEVICES_PER_READ)):
            newest = await self._newest(type_name, collection, chunk)
            if type_name in self._gathered:
                await self._latest.put_merged(type_name, newest)
            else:
                await self._latest.put(type_name, newest, whole=True)
            await self._redis.expire(REBUILDING, LOCK_SECONDS)
        return len(devices)

    async def _newest(self, type_name: str, collection: str, devices: Iterable[str]) -> list[Message]:
        found = await asyncio.gather(
            *(self._db[collection].find_one({"device_id": device}, sort=[("timestamp", -1)]) for device in devices)
        )
        documents = [document for document in found if document is not None]
        if type_name in self._gathered:
            return await self._newest_values(type_name, collection, documents)
        return [
            reading_message(
                type_name, document["device_id"], document["timestamp"], document["received_at"], document["payload"]
            )
            for document in documents
        ]

    async def _newest_values(self, type_name: str, collection: str, newest: list[Document]) -> list[Message]:
        """Messages with the newest value of each field. newest: the newest reading of each device."""
        times = {document["device_id"]: document["timestamp"] for document in newest}
        values = await newest_of(self._db[collection], self._db[SEEN], type_name, times)
        messages = []
        for document in newest:
            device, time = document["device_id"], document["timestamp"]
            own = values.get(device, NewestValues())
            older = own.older_than(time)
            messages.append(reading_message(type_name, device, time, document["received_at"], own.values, older))
        return messages
