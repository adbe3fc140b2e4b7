"""The publisher: what Redis refuses of one data type costs that type only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry
from redis.exceptions import ResponseError

from greenpower.bus.keys import WHOLE, latest_key, status_key
from greenpower.bus.latest import Latest
from greenpower.bus.publisher import Publisher
from greenpower.loops import TaskLoop
from greenpower.mongo.readings.batch import StoredBatch
from greenpower.mongo.readings.store import Fragment, MergedReading
from tests.wait import wait_until

NOW = datetime(2026, 1, 26, 12, tzinfo=UTC)
TYPES = ("rt", "solar", "environment")


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def batch_of(*types: str) -> StoredBatch:
    """A reading of the device D1 for each type."""
    fragment = partial(Fragment, "D1", "topic", NOW, NOW, {"ua": 1.0}, True)
    return StoredBatch(frames=(), readings={name: [MergedReading([fragment()], added={"ua": 1.0})] for name in types})


def statuses_of(*types: str) -> list[dict[str, Any]]:
    return [{"type": name, "device_id": "D1", "status": "online", "status_since": NOW} for name in types]


@asynccontextmanager
async def running(redis_url: str, metrics: CollectorRegistry) -> AsyncIterator[Publisher]:
    publisher = Publisher(redis_url, metrics)
    loop = TaskLoop("publisher", publisher.run, stalled_after=60.0)
    loop.start()
    try:
        yield publisher
    finally:
        await loop.stop()
        await publisher.close()


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, condition)


@pytest.mark.parametrize("key_of", [latest_key, status_key])
def test_a_key_of_another_type_is_written_again(
    key_of: Callable[[str], str], store: redis.Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = CollectorRegistry()

    async def go() -> None:
        async with running(redis_url, metrics) as publisher:
            for _ in range(2):
                store.delete(*map(latest_key, TYPES), *map(status_key, TYPES))
                store.set(key_of("rt"), "no hash")
                store.set(WHOLE, "1")
                publisher.lost.clear()
                publisher.take(batch_of(*TYPES))
                publisher.announce(statuses_of(*TYPES))
                for name in TYPES:
                    await until(lambda name=name: store.type(latest_key(name)) == b"hash")  # type: ignore[misc]
                    await until(lambda name=name: store.type(status_key(name)) == b"hash")  # type: ignore[misc]
                # What the key should have held of other devices comes from MongoDB.
                assert publisher.lost.is_set() is (key_of is latest_key)

    asyncio.run(go())
    assert metrics.get_sample_value("greenpower_live_keys_deleted_total") == 2
    assert metrics.get_sample_value("greenpower_live_failures_total") == 0
    assert sum(key_of("rt") in record.getMessage() for record in caplog.records) == 1


def test_a_type_that_redis_refuses_holds_up_no_other(
    store: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, refusing, put = CollectorRegistry(), True, Latest.put

    async def refused(latest: Latest, type_name: str, readings: Any, **options: Any) -> bool:
        if type_name == "rt" and refusing:
            raise ResponseError("script error")
        return await put(latest, type_name, readings, **options)

    monkeypatch.setattr(Latest, "put", refused)
    monkeypatch.setattr("greenpower.bus.publisher.MAX_RETRY_SECONDS", 0.0)

    async def go() -> None:
        nonlocal refusing
        async with running(redis_url, metrics) as publisher:
            publisher.take(batch_of(*TYPES))
            for name in TYPES[1:]:
                await until(lambda name=name: store.exists(latest_key(name)))  # type: ignore[misc]
            assert metrics.get_sample_value("greenpower_live_waiting") == 1
            refusing = False
            publisher.take(batch_of("solar"))
            await until(lambda: store.exists(latest_key("rt")))

    asyncio.run(go())
    assert metrics.get_sample_value("greenpower_live_waiting") == 0
