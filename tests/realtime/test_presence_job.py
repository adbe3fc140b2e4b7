"""The presence job: verdicts, what is told, the history in SQL; restarts make no storm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from pymongo import MongoClient
from pymongo.database import Database
from redis.asyncio import Redis
from sqlalchemy import select

from greenpower.bus.keys import STATUS_CHANNEL, latest_key, status_key
from greenpower.catalog.registry import Registry, discover
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import Mqtt
from greenpower.ingest import transports
from greenpower.ingest.sources.source import SourceKind
from greenpower.ingest.transports import Transport, sources_of
from greenpower.jobs.device_sync import sync_devices
from greenpower.jobs.presence import Judged, judge, record, tell_types
from greenpower.mongo.client import async_client
from greenpower.mongo.devices.status import take_offline
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, LISTENING, SEEN
from greenpower.sql import Device, DeviceStatusChange
from greenpower.sql.session import sql_session
from tests.heard import listen, next_heard

Document = dict[str, Any]
START = datetime(2026, 1, 26, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class World:
    """A database in which devices were heard, and a clock. `check` is what the job does."""

    def __init__(self, settings: Settings, db: Database[Document]) -> None:
        self.settings, self.db = settings, db
        self.registry: Registry = discover()
        self.told: list[Document] = []

    def heard(self, device: str, seconds: float, type_name: str = "rt", interval: float | None = None) -> None:
        change: Document = {
            "$set": {"type": type_name, "device_id": device, "last_heard": at(seconds)},
            "$min": {"first_seen": at(seconds)},
        }
        if interval is not None:
            change["$set"]["interval"] = interval
        self.db[SEEN].update_one({"_id": f"{type_name}|{device}"}, change, upsert=True)

    def listened(self, since: float, until: float, *sources: str) -> None:
        self.db[LISTENING].insert_one({"sources": list(sources or ("mqtt",)), "since": at(since), "until": at(until)})

    def check(self, seconds: float) -> dict[str, str]:
        """Judge, tell, record. Returns what changed: {device: status}."""
        judged = asyncio.run(self._check(seconds))
        with sql_session(self.settings) as session:
            sync_devices(session, self.db)
            record(session, judged)
        return {one.document["device_id"]: one.document["status"] for one in judged if one.changed}

    async def _check(self, seconds: float) -> list[Judged]:
        client = Redis.from_url(self.settings.need("REDIS_URL"))
        async with async_client(self.settings) as mongo:
            judged = await judge(mongo[self.settings.mongo_db_name], self.registry, at(seconds))
        await tell_types(client, judged, [datatype.name for datatype in self.registry], at(seconds))
        await client.aclose()
        return judged

    def history(self, device: str) -> list[tuple[str, float]]:
        with sql_session(self.settings) as session:
            rows = session.execute(
                select(DeviceStatusChange.status, DeviceStatusChange.at)
                .join(Device, Device.id == DeviceStatusChange.device_id)
                .where(Device.device_id == device)
                .order_by(DeviceStatusChange.at)
            ).all()
        return [(status, (when - START).total_seconds()) for status, when in rows]


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    init_sql(settings)
    with MongoClient[Document](settings.need("MONGO_DB_URI"), tz_aware=True) as client:
        yield World(settings, client[settings.mongo_db_name])


def test_a_device_goes_and_comes_and_the_history_knows(world: World, redis_url: str) -> None:
    world.heard("M1", 100, interval=30)
    world.listened(0, 175)
    assert world.check(175) == {"M1": "online"}
    world.db[LISTENING].update_one({}, {"$set": {"until": at(176)}})
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as pubsub:
        listen(pubsub, STATUS_CHANNEL)
        assert world.check(177) == {"M1": "offline"}
        [told] = json.loads(next_heard(pubsub))
        assert told["status"] == "offline" and told["last_heard"] == "2026-01-26T12:01:40.000Z"
        shown = client.hget(status_key("rt"), "M1")
        assert isinstance(shown, bytes) and json.loads(shown) == told
    assert world.check(240) == {}, "said once"
    world.heard("M1", 250)
    world.db[SEEN].update_one({}, {"$set": {"status": "online", "status_since": at(251)}})  # as ingest does
    assert world.check(252) == {}
    assert world.history("M1") == [("online", 175), ("offline", 177), ("online", 251)]


@pytest.mark.parametrize("own", [None, 3600])
def test_the_interval_of_a_meter_is_respected(world: World, own: int | None) -> None:
    world.heard("SLOW", 0, interval=None if own else 3600)
    world.heard("QUICK", 0)
    if own:
        world.db[DEVICE_SETTINGS].insert_one({"_id": "SLOW", "interval_seconds": own})
    world.listened(0, 8_999)
    assert world.check(8_999) == {"SLOW": "online", "QUICK": "offline"}
    world.listened(8_999, 9_002)
    assert world.check(9_002) == {"SLOW": "offline"}


def test_restarts_of_ingest_and_of_the_job_make_no_storm(world: World) -> None:
    for number in range(200):
        world.heard(f"M{number}", 100 - number % 30, interval=30)
    world.listened(0, 100)
    assert set(world.check(100).values()) == {"online"}
    # Ingest is away for an hour, comes back, and the devices are heard again within half a minute.
    assert world.check(3_700) == {}
    world.listened(3_700, 3_730)
    assert world.check(3_730) == {}
    for number in range(199):
        world.heard(f"M{number}", 3_730)
    # The job was away for a day; one device did not come back.
    world.db[LISTENING].update_one({"since": at(3_700)}, {"$set": {"until": at(90_000)}})
    for number in range(199):
        world.heard(f"M{number}", 89_990)
    assert world.check(90_000) == {"M199": "offline"}


def test_a_source_that_is_away_says_nothing_of_its_devices(world: World) -> None:
    world.heard("GWCCCL0001", 0, "solar")
    world.heard("M1", 0)
    world.listened(0, 10_000, "mqtt")
    assert world.check(10_000) == {"GWCCCL0001": "online", "M1": "offline"}
    world.listened(0, 10_000, "tcp")
    assert world.check(10_001) == {"GWCCCL0001": "offline"}
    assert sources_of(world.registry["rt"]) == {"mqtt", "lines"} and sources_of(world.registry["solar"]) == {"tcp"}


def test_a_transport_that_is_wired_is_one_that_devices_are_silent_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its one line of wiring does: nothing else has its name."""
    kind = SourceKind(name="post", claims=(Mqtt,), make=lambda *_: None)
    monkeypatch.setattr(
        transports, "TRANSPORTS", (*transports.TRANSPORTS, Transport(option="post", help="", sources=(kind,)))
    )
    world.heard("M1", 0)
    world.heard("GWCCCL0001", 0, "solar")
    world.listened(0, 10_000, "post")
    assert world.check(10_000) == {"M1": "offline", "GWCCCL0001": "online"}


def test_in_sql_a_device_is_as_its_liveliest_type(world: World) -> None:
    world.listened(0, 200)
    for type_name, interval in (("rt", 30), ("eny_now", 900)):
        world.heard("M1", 100, type_name, interval)
    world.heard("M1", -30 * 86_400, "eny_frz")
    world.check(110)
    assert world.history("M1")[-1][0] == "offline"
    world.heard("M1", 210, interval=30)
    world.db[SEEN].update_one({"_id": "rt|M1"}, {"$set": {"status": "online", "status_since": at(211)}})
    world.listened(200, 220)
    world.check(220)
    assert world.history("M1")[-1] == ("online", 211)
    with sql_session(world.settings) as session:
        assert session.scalars(select(Device.status)).all() == ["online"]
    world.check(221)
    assert len(world.history("M1")) == 2


def test_a_device_heard_while_it_is_judged_stays_online(world: World) -> None:
    world.listened(0, 1_000)
    world.heard("M1", 0)

    async def race() -> list[Judged]:
        async with async_client(world.settings) as mongo:
            db = mongo[world.settings.mongo_db_name]
            [document] = [found async for found in db[SEEN].find()]
            world.heard("M1", 990)
            assert await take_offline(db[SEEN], [document], at(1_000)) == []
            return await judge(db, world.registry, at(1_000))

    [judged] = asyncio.run(race())
    assert judged.document["status"] == "online"


def test_bad_values_in_redis_cost_only_their_type(world: World, redis_url: str) -> None:
    world.heard("M1", 100)
    world.heard("E1", 100, "solar")
    world.listened(0, 105)
    with redis.Redis.from_url(redis_url) as client:
        client.hset(latest_key("solar"), mapping={b"\xff\xfe": b"", b"known-to-nobody": b""})
        client.set(status_key("rt"), "no hash")
        assert world.check(110) == {"M1": "online", "E1": "online"}
        assert client.hkeys(status_key("solar")) == [b"E1"] and not client.hkeys(latest_key("solar"))
        assert world.history("M1") and world.history("E1"), "SQL has both"
        assert client.hkeys(status_key("rt")) == [b"M1"], "a key of another type is written again"
