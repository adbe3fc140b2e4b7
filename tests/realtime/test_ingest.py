"""From a frame to a client: ingest, Redis, gateway; and what happens when Redis is away or was emptied."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from pydantic import SecretStr
from pymongo import MongoClient

from greenpower.bus.keys import WHOLE, latest_key
from greenpower.bus.message import read_latest
from greenpower.catalog.registry import load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.jobs.presence import judge, tell
from greenpower.mongo.client import async_client
from greenpower.realtime.feed import make_client
from greenpower.stack import Valkey
from tests.ingest.conftest import Publisher, db, frame, publisher, start, wait_events
from tests.process import Command
from tests.realtime.conftest import Open
from tests.wait import wait_until

__all__ = ["db", "publisher", "start"]  # fixtures
TOPIC = "MQTT_RT_DATA"
DEVICE = "33B1225950027"


def kept(url: str, device: str = DEVICE) -> dict[str, Any] | None:
    """The newest reading in Redis."""
    with redis.Redis.from_url(url) as client:
        value = client.hget(latest_key("rt"), device)
    assert value is None or isinstance(value, bytes)
    return None if value is None else read_latest(value)


@pytest.mark.usefixtures("gateway")
def test_a_frame_reaches_a_client_unchanged(start: Any, publisher: Publisher, browser: Open) -> None:
    start()
    client = browser()
    client.subscribe("*")
    client.next("snapshot")
    sent = frame()
    publisher.send(TOPIC, sent)
    [reading] = client.next("reading")
    assert reading["payload"] == {key: value for key, value in sent.items() if key not in ("id", "time", "isend")}
    assert reading["type"] == "rt" and reading["device_id"] == DEVICE
    assert reading["timestamp"].endswith(".000Z") and len(reading["received_at"]) == 24
    [status] = client.next("device_status")
    assert (status["device_id"], status["status"], status["last_heard"]) == (DEVICE, "online", reading["received_at"])


def test_a_late_reading_and_a_duplicate_change_nothing(
    start: Any, publisher: Publisher, db: Any, redis_url: str
) -> None:
    start()
    now = datetime.now(UTC)
    publisher.send(TOPIC, frame(time=now, ua=2.0))
    wait_until(lambda: kept(redis_url))
    for late in (frame(time=now - timedelta(hours=3), ua=1.0), frame(time=now, ua=2.0)):
        publisher.send(TOPIC, late)
    # Packets of one reading, of which one comes after another reading's.
    publisher.send(TOPIC, {**frame("33B1225950028", time=now), "isend": "0"})
    publisher.send(TOPIC, frame("33B1225950028", time=now, ig=0.5))
    wait_events(db, 5)
    wait_until(lambda: "ig" in (kept(redis_url, "33B1225950028") or {"payload": {}})["payload"])
    joined = kept(redis_url, "33B1225950028")
    assert joined is not None and joined["payload"]["ua"] == 229.097
    newest = kept(redis_url)
    assert newest is not None and newest["payload"]["ua"] == 2.0


@pytest.mark.slow
def test_without_redis_ingest_goes_on_and_counts_and_tells_later(
    start: Any, publisher: Publisher, db: Any, settings: Settings, tmp_path: Path
) -> None:
    with Valkey(tmp_path / "own") as own:
        using = settings.model_copy(update={"redis_url": SecretStr(own.url)})
        command: Command = start(using)
        publisher.send(TOPIC, frame(time=datetime.now(UTC) - timedelta(seconds=30), ua=1.0))
        wait_until(lambda: kept(own.url))
        own.kill()
        for number in range(200):
            publisher.send(TOPIC, frame(f"33B12259{number:05}", ua=2.0))
        publisher.flush()
        wait_events(db, 201, outcome="stored")
        wait_until(lambda: command.metric("greenpower_live_failures_total") > 0)
        wait_until(lambda: command.metric("greenpower_mqtt_acknowledged_total") == 201)
        assert command.health()["status"] == "ok"
        own.start()
        wait_until(lambda: kept(own.url, "33B1225900199"), 20)
        wait_until(lambda: command.metric("greenpower_live_waiting") == 0)
        # One that hangs holds nothing up either.
        own.pause()
        publisher.send(TOPIC, frame("HANGS"))
        wait_events(db, 1, device_id="HANGS")
        assert command.stop() == 0
        own.resume()


@pytest.mark.slow
def test_what_redis_lost_comes_back_from_mongo(start: Any, publisher: Publisher, redis_url: str) -> None:
    command: Command = start()
    now = datetime.now(UTC)
    for number in range(50):
        publisher.send(TOPIC, frame(f"33B12259{number:05}", now, ua=3.0))
    publisher.send(TOPIC, {**frame("SPLIT", now), "isend": "0"})
    publisher.send(TOPIC, {"id": "SPLIT", "time": frame(time=now)["time"], "ig": 1.5, "isend": "1"})
    wait_until(lambda: (kept(redis_url, "SPLIT") or {"payload": {}})["payload"].get("ig"))
    wait_until(lambda: kept(redis_url, "33B1225900049"))
    with make_client(redis_url) as client:
        assert client.exists(WHOLE)
        command.stop()  # what was seen is written down
        client.flushall()
        start()
        wait_until(lambda: client.exists(WHOLE))
        assert client.hlen(latest_key("rt")) == 51
        found = kept(redis_url, "SPLIT")
        assert found is not None and found["payload"]["ig"] == 1.5 and found["payload"]["ua"] == 229.097
        # And while it runs.
        client.flushall()
        publisher.send(TOPIC, frame("33B1225900000", now + timedelta(seconds=5), ua=4.0))
        wait_until(lambda: client.exists(WHOLE) and client.hlen(latest_key("rt")) == 51, 20)
        newest = kept(redis_url, "33B1225900000")
        assert newest is not None and newest["payload"]["ua"] == 4.0


@pytest.mark.slow
def test_a_device_goes_offline_and_comes_back_for_all_to_see(
    start: Any, publisher: Publisher, start_gateway: Any, browser: Open, settings: Settings, tmp_path: Path
) -> None:
    site = tmp_path / "site.toml"
    site.write_text("[types.rt]\nstale_after = 2\n")
    using = settings.model_copy(update={"greenpower_site": site})
    init_sql(using)
    start(using)
    start_gateway(using)
    client = browser()
    client.subscribe("*")
    with MongoClient[Any](using.need("MONGO_DB_URI")) as mongo:
        # What is heard before ingest has written down that it listens is given a minute more.
        watch = mongo[using.mongo_db_name].ingest_watch
        wait_until(lambda: watch.count_documents({"sources": "mqtt"}))
    publisher.send(TOPIC, frame())
    assert client.next("device_status")[0]["status"] == "online"
    registry = load_registry(site)

    async def run_job() -> list[str]:
        redis_client = redis.asyncio.Redis.from_url(using.need("REDIS_URL"))
        async with async_client(using) as mongo:
            judged = await judge(mongo[using.mongo_db_name], registry, datetime.now(UTC))
        await tell(redis_client, judged)
        await redis_client.aclose()
        return [item.document["device_id"] for item in judged if item.changed]

    wait_until(lambda: asyncio.run(run_job()) == [DEVICE], 20, every=0.2)
    [gone] = client.next("device_status")
    assert gone["status"] == "offline" and gone["last_heard"] < gone["since"]
    publisher.send(TOPIC, frame())
    assert client.next("device_status")[0]["status"] == "online"
    with MongoClient[Any](using.need("MONGO_DB_URI")) as mongo:
        assert orjson.dumps(mongo[using.mongo_db_name].devices_seen.find_one({}, {"_id": 0, "status": 1})) == (
            b'{"status":"online"}'
        )
