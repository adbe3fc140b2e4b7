"""A replica set: writes wait for its majority and its journal; while it has no primary nothing is lost or doubled.

Of one member, which is all that a test can afford: what a second member would add is the server's own business.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import EVENTS, ensure_indexes
from greenpower.stack import Mongod
from tests.wait import wait_until

FRAMES = 400


class PoolMember(Mongod):
    """The only member of a replica set."""

    def command(self) -> list[str]:
        return [*super().command(), "--replSet", "greenpower"]

    def answers(self) -> bool:
        """Before the set is made it is no member yet that a client would choose."""
        try:
            with MongoClient[Any](self.uri, directConnection=True, serverSelectionTimeoutMS=500) as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with PoolMember(tmp_path_factory.mktemp("member")) as member:
        with MongoClient[Any](member.uri, directConnection=True) as client:
            members = [{"_id": 0, "host": f"{member.host}:{member.port}"}]
            # Stepped down it would otherwise wait ten seconds before it stands again.
            settings = {"electionTimeoutMillis": 500, "heartbeatIntervalMillis": 200}
            config = {"_id": "greenpower", "members": members, "settings": settings}
            client.admin.command("replSetInitiate", config)
            wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], 30)
        yield f"{member.uri}/?replicaSet=greenpower"


@pytest.fixture
def replicated(settings: Settings, uri: str) -> Settings:
    """Settings for a database of the replica set."""
    update = {"mongo_db_uri": SecretStr(uri), "mongo_db_name": f"test_{uuid4().hex[:8]}"}
    found = settings.model_copy(update=update)
    with sync_client(found) as client:
        ensure_indexes(client[found.mongo_db_name], get_registry(), found)
    return found


def arrivals() -> list[Arrival]:
    now = datetime.now(UTC).replace(microsecond=0)
    return [
        Arrival(
            topic="MQTT_RT_DATA",
            payload=json.dumps(
                {"id": "33B1225950027", "ua": 200 + n % 50, "zyggl": 1.5, "isend": "1",
                 "time": f"{now - timedelta(seconds=n) + timedelta(hours=6):%Y%m%d%H%M%S}"}
            ).encode(),
            received_at=now,
            source="mqtt",
        )
        for n in range(FRAMES)
    ]  # fmt: skip


async def store(settings: Settings, disturb: Any = None) -> None:
    """Put the frames through a pipeline, a few at a time."""
    async with async_client(settings) as client:
        db = client[settings.mongo_db_name]
        pipeline = Pipeline(registry=get_registry(), settings=settings, db=db, metrics=IngestMetrics())
        answers = []
        for number, arrival in enumerate(arrivals()):
            answers.append(pipeline.submit(arrival))
            if number % 40 == 39:
                await asyncio.sleep(0)
            if disturb is not None and number == FRAMES // 2:
                await answers[-1]
                await asyncio.to_thread(disturb)
        await pipeline.drain()
        assert all(answer.done() for answer in answers)


def balanced(settings: Settings) -> bool:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        stored = db[EVENTS].count_documents({"outcome": "stored"})
        return stored == db[EVENTS].count_documents({}) == db["grid_rt_data"].count_documents({}) == FRAMES


def term(uri: str) -> int:
    """How often a primary was elected."""
    with MongoClient[Any](uri) as client:
        return int(client.admin.command("replSetGetStatus")["term"])


def test_every_write_waits_for_the_majority_and_its_journal(replicated: Settings) -> None:
    with sync_client(replicated) as client:
        db = client[replicated.mongo_db_name]
        db.command("profile", 2)
        asyncio.run(store(replicated))
        db.command("profile", 0)
        writes = list(db["system.profile"].find({"op": "insert"}, {"command.writeConcern": 1}))
        assert writes
        for write in writes:
            concern = write["command"]["writeConcern"]
            assert (concern["w"], concern["j"]) == ("majority", True)
    assert balanced(replicated)


def test_without_a_primary_frames_wait_and_are_stored_once(replicated: Settings, uri: str) -> None:
    def step_down() -> None:
        with MongoClient[Any](uri) as client:
            try:
                client.admin.command("replSetStepDown", 2, force=True)
            except AutoReconnect:  # it closes its connections
                return

    before = term(uri)
    asyncio.run(store(replicated, step_down))
    assert term(uri) > before
    assert balanced(replicated)
