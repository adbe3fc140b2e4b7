"""A pipeline with a publisher on real servers, faults on demand, and what Redis and its listeners were told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis

from greenpower.bus.keys import latest_key, reading_channel
from greenpower.bus.message import Message, newer, read_latest
from greenpower.bus.publisher import Publisher
from greenpower.catalog.facts import gather_seconds
from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.loops import TaskLoop
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.realtime.cache import LatestCache
from greenpower.realtime.feed import Feed
from tests.heard import listen, next_heard
from tests.wait import until

Batch = Iterable[Arrival]
WRITES = ("insert_many", "bulk_write", "update_many", "delete_many")


class UnforeseenError(Exception):
    """What no step expects."""


@dataclass
class Fault:
    """The nth write to a collection fails, before or after MongoDB has done it."""

    collection: str
    number: int = 0
    after: bool = True
    error: type[Exception] = UnforeseenError
    writes: int = 0

    def wrap(self, write: Callable[..., Any]) -> Callable[..., Any]:
        async def failing(*args: Any, **kwargs: Any) -> Any:
            self.writes += 1
            due = self.writes == self.number + 1
            if due and not self.after:
                raise self.error(self.collection)
            try:
                return await write(*args, **kwargs)
            finally:
                if due:  # in place of what it says of duplicates, too
                    raise self.error(self.collection)

        return failing


class FaultyCollection:
    """A collection with a fault."""

    def __init__(self, collection: Any, fault: Fault) -> None:
        self._collection, self._fault = collection, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._collection, name)
        return self._fault.wrap(found) if name in WRITES else found


class FaultyDatabase:
    """A database of which some collections have a fault."""

    def __init__(self, db: Any, faults: Iterable[Fault]) -> None:
        self._db = db
        self._faults = {fault.collection: fault for fault in faults}

    def __getitem__(self, name: str) -> Any:
        collection = self._db[name]
        return FaultyCollection(collection, self._faults[name]) if name in self._faults else collection


@dataclass
class Told:
    """What was told. messages: on the bus, in order. kept: the newest in Redis, by type and device. cache: of a
    realtime process that has listened all the time. snapshot: of one that begins now."""

    metrics: IngestMetrics
    messages: list[Message] = field(default_factory=list)
    kept: dict[tuple[str, str], Message] = field(default_factory=dict)
    cache: LatestCache = field(default_factory=LatestCache)
    snapshot: LatestCache = field(default_factory=LatestCache)

    def newest(self, type_name: str, device: str) -> Message | None:
        """What a listener makes of the messages."""
        found: Message | None = None
        for message in self.messages:
            if (message["type"], message["device_id"]) == (type_name, device):
                found = newer(found, message) or found
        return found

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"greenpower_{name}", labels) or 0.0


class _Snapshot:
    """A listener that ends once all that Redis keeps was told."""

    def __init__(self, url: str, types: Iterable[str]) -> None:
        self.cache = LatestCache()
        self._loop = Feed(url, types, self).make_loop()
        self._loop.run()

    def on_revoked(self, family: str) -> None:
        """There are no logins here."""

    def on_visible(self, subject: str) -> None:
        pass

    def on_loaded(self) -> None:
        self._loop.request_stop()

    def on_readings(self, type_name: str, readings: list[Message]) -> None:
        self.cache.add_readings(type_name, readings)

    def on_statuses(self, statuses: list[Message]) -> None:
        self.cache.add_statuses(statuses)

    def on_alarms(self, events: list[Message]) -> None:
        pass


def go_through(settings: Settings, batches: Iterable[Batch], *faults: Fault, registry: Registry | None = None) -> Told:
    """Put batches through a pipeline, one after the other."""
    registry = registry or get_registry()
    url = settings.need("REDIS_URL")
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], registry, settings)
    metrics = IngestMetrics()
    told = Told(metrics)
    channels = {reading_channel(datatype.name): datatype.name for datatype in registry}

    async def run() -> None:
        publisher = Publisher(url, metrics.registry, gather_seconds(registry))
        telling = TaskLoop("publisher", publisher.run, stalled_after=60.0)
        telling.start()
        async with async_client(settings) as client:
            db: Any = FaultyDatabase(client[settings.mongo_db_name], faults)
            pipeline = Pipeline(registry=registry, settings=settings, db=db, metrics=metrics, publisher=publisher)
            await pipeline.clock.load()
            for batch in batches:
                for arrival in batch:
                    pipeline.submit(arrival)
                await pipeline.drain()
            await pipeline.presence.save()
        # Stopping, it tells once what waits: Redis may stand still at that moment.
        await until(lambda: not publisher._readings and not publisher._statuses)
        await telling.stop()
        await publisher.close()

    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        listen(pubsub, *channels)
        asyncio.run(run())
        # One of our own comes last.
        client.publish(next(iter(channels)), b"end")
        while True:
            data = next_heard(pubsub)
            if data == b"end":
                break
            found = orjson.loads(data)
            told.messages += found["readings"]
            told.cache.add_readings(found["type"], found["readings"])
        for name in channels.values():
            for device, value in client.hgetall(latest_key(name)).items():
                if (reading := read_latest(value)) is not None:
                    told.kept[name, device.decode()] = reading
    told.snapshot = _Snapshot(url, channels.values()).cache
    return told
