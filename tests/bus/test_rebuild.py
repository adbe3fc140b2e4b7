"""Filling Redis from MongoDB: what Redis refuses of one data type keeps no other from being filled."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from pymongo.database import Database
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from greenpower.bus.keys import REBUILDING, WHOLE, latest_key
from greenpower.bus.latest import Latest
from greenpower.bus.rebuild import Rebuild
from greenpower.config import Settings
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import SEEN

NOW = datetime(2026, 1, 26, 12, tzinfo=UTC)
TYPES = {"environment": "environment_data", "rt": "grid_rt_data", "solar": "solar_data"}


def fill(settings: Settings, redis_url: str) -> None:
    async def go() -> None:
        async with async_client(settings) as client, Redis.from_url(redis_url) as connection:
            await Rebuild(client[settings.mongo_db_name], TYPES, Latest(connection), connection).fill()

    asyncio.run(go())


@pytest.fixture
def heard(settings: Settings) -> None:
    """A device of each type with one reading."""
    with sync_client(settings) as client:
        insert(client[settings.mongo_db_name])


def insert(db: Database[Any]) -> None:
    for name, collection in TYPES.items():
        db[SEEN].insert_one({"type": name, "device_id": "D1", "last_reading": NOW})
        db[collection].insert_one({"device_id": "D1", "timestamp": NOW, "received_at": NOW, "payload": {"ua": 1.0}})


@pytest.mark.usefixtures("heard")
def test_a_key_of_another_type_is_filled_again(settings: Settings, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as store:
        store.set(latest_key("rt"), "no hash")
        fill(settings, redis_url)
        assert all(store.hlen(latest_key(name)) == 1 for name in TYPES) and store.exists(WHOLE)


@pytest.mark.usefixtures("heard")
def test_a_type_that_redis_refuses_costs_itself(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Latest.put

    async def refused(latest: Latest, type_name: str, readings: Any, **options: Any) -> bool:
        if type_name == "rt":
            raise ResponseError("script error")
        return await put(latest, type_name, readings, **options)

    monkeypatch.setattr(Latest, "put", refused)
    with redis.Redis.from_url(redis_url) as store:
        with pytest.raises(ResponseError):
            fill(settings, redis_url)
        assert [name for name in TYPES if store.exists(latest_key(name))] == ["environment", "solar"]
        assert not store.exists(WHOLE, REBUILDING)
