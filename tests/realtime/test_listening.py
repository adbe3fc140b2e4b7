"""When ingest listened: spans that are moved on, and that end where nobody knows what was missed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import async_client
from greenpower.mongo.devices.listening import Listening, read_listening, spans_of
from greenpower.mongo.devices.status import bring_online, take_offline
from greenpower.mongo.schema.layout import LISTENING, SEEN
from tests.ingest.conftest import Publisher, db, frame, publisher, start
from tests.process import Command
from tests.wait import wait_until

__all__ = ["db", "publisher", "start"]  # fixtures
Document = dict[str, Any]
START = datetime(2026, 1, 26, 12, tzinfo=UTC)
MQTT = frozenset({"mqtt"})


def listened(settings: Settings, beats: Iterable[tuple[float, tuple[str, ...]]]) -> list[tuple[float, float]]:
    """The spans of `mqtt` after these beats: (seconds, sources)."""

    async def go() -> list[tuple[float, float]]:
        async with async_client(settings) as client:
            collection = client[settings.mongo_db_name][LISTENING]
            listening = Listening(collection)
            for seconds, sources in beats:
                await listening.beat(sources, START + timedelta(seconds=seconds))
            spans = spans_of(await read_listening(collection), MQTT)
        return [((span.since - START).total_seconds(), (span.until - START).total_seconds()) for span in spans]

    return asyncio.run(go())


def test_beats_make_a_span_until_one_is_missing(settings: Settings) -> None:
    both = ("mqtt", "tcp")
    beats: list[tuple[float, tuple[str, ...]]] = [(0, both), (2, both), (4, both)]
    # MongoDB is away for a while; then the broker.
    beats += [(60, both), (62, both), (64, ("tcp",)), (66, ("tcp",)), (68, both), (70, both), (72, ()), (74, both)]
    assert listened(settings, beats) == [(0, 4), (60, 62), (68, 70), (74, 74)]


def test_ingest_says_when_it_listens(start: Any, publisher: Publisher, db: Database[Document]) -> None:
    began = datetime.now(UTC)
    command: Command = start()
    [span] = wait_until(lambda: list(db[LISTENING].find({"sources": ["mqtt"]})))
    assert span["since"] >= began - timedelta(milliseconds=1)
    wait_until(lambda: db[LISTENING].count_documents({"until": {"$gt": span["since"] + timedelta(seconds=1)}}))
    publisher.send("MQTT_RT_DATA", frame(time=began - timedelta(seconds=30)))
    publisher.send("MQTT_RT_DATA", frame(time=began))
    seen = wait_until(lambda: db[SEEN].find_one({"interval": {"$exists": True}, "status": "online"}))
    assert seen is not None and seen["interval"] == 30 and seen["status_since"] >= began - timedelta(milliseconds=1)
    command.kill()
    start()
    wait_until(lambda: db[LISTENING].count_documents({}) == 2)


def test_of_several_processes_one_sees_a_device_come_or_go(settings: Settings) -> None:
    with MongoClient[Document](settings.need("MONGO_DB_URI"), tz_aware=True) as client:
        seen = client[settings.mongo_db_name][SEEN]
        keys = [("rt", f"M{number}") for number in range(100)]
        seen.insert_many(
            {"_id": f"{name}|{device}", "type": name, "device_id": device, "last_heard": START} for name, device in keys
        )
        documents = list(seen.find())

    async def go() -> tuple[list[int], list[int]]:
        async with async_client(settings) as mongo:
            collection = mongo[settings.mongo_db_name][SEEN]
            came = await asyncio.gather(*(bring_online(collection, keys, START) for _ in range(4)))
            went = await asyncio.gather(*(take_offline(collection, documents, START) for _ in range(4)))
            return [len(found) for found in came], [len(found) for found in went]

    came, went = asyncio.run(go())
    assert sum(came) == sum(went) == 100
