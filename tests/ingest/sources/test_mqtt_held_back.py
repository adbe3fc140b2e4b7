"""Frames that are left at the broker because MongoDB is silent: the broker is not to blame, and nothing is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.mqtt.connect import connect, fleeting
from greenpower.ingest.sources.mqtt.gmqtt_client import (
    MQTTv50,
)
from greenpower.ingest.sources.mqtt.source import make
from greenpower.ingest.sources.source import Source, SourceKit
from greenpower.loops import Loops
from greenpower.stack import Mosquitto
from tests.ingest.conftest import Publisher
from tests.wait import until


class HeldPipeline:
    """Takes frames and stores none before `store`. `full`: so many frames are too many."""

    def __init__(self, full: int) -> None:
        self.batcher = SimpleNamespace(is_full=False, pending=0)
        self.taken = 0
        self._full = full
        self._stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def submit(self, arrival: Arrival) -> asyncio.Future[None]:
        self.taken += 1
        self.batcher.pending += 1
        self.batcher.is_full = self.batcher.pending >= self._full
        return self._stored

    def store(self) -> None:
        self.batcher.pending, self.batcher.is_full = 0, False
        self._stored.set_result(None)
        self._stored = asyncio.get_running_loop().create_future()


class World:
    """The source of one topic at a broker."""

    def __init__(self, settings: Settings, full: int) -> None:
        self.settings = settings
        self.topic = f"held/{uuid4().hex}"
        self.pipeline = HeldPipeline(full)
        self.metrics = CollectorRegistry()
        self.loops = Loops(self.metrics)
        kit = SourceKit(admission=Admission(settings, self.metrics), loops=self.loops, metrics=self.metrics)
        claims = SimpleNamespace(topics=(self.topic,))
        source = make(settings, claims, self.pipeline, kit)  # type: ignore[arg-type]
        assert source is not None
        self.source: Source = source

    def metric(self, name: str) -> float:
        return self.metrics.get_sample_value(name) or 0.0

    async def publish(self, count: int, size: int = 20_000) -> None:
        def go() -> None:
            publisher = Publisher(self.settings.mqtt_broker, self.settings.mqtt_port)
            for _ in range(count):
                publisher.send(self.topic, b"x" * size)
            publisher.flush()
            publisher.close()

        await asyncio.to_thread(go)


@asynccontextmanager
async def world(settings: Settings, full: int = 3) -> AsyncIterator[World]:
    found = World(settings, full)
    await found.source.start()
    try:
        await until(lambda: found.source.health()["ok"] and found.source.listening_to)
        yield found
    finally:
        await found.source.stop()
        await found.source.close()
        await found.loops.stop_async(5)
        ending = fleeting(settings)
        await connect(ending, settings, MQTTv50)
        await ending.leave()


def walk(settings: Settings, steps: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world(settings) as found:
            await steps(found)

    uvloop.run(run())


def test_a_connection_is_kept_while_the_pipeline_is_full(settings: Settings) -> None:
    async def steps(world: World) -> None:
        await world.publish(200)
        await until(lambda: world.source.health().get("held_back"))
        await asyncio.sleep(0.5)
        taken = world.pipeline.taken
        assert 3 <= taken < 100, "what was on its way when reading stopped"
        assert world.source.health() == {"ok": True, "held_back": True}
        assert world.source.listening_to and world.metric("greenpower_mqtt_connected") == 1

        async def all_taken() -> None:
            while world.pipeline.taken < 200:
                world.pipeline.store()
                await asyncio.sleep(0.02)

        await asyncio.wait_for(all_taken(), 60)
        world.pipeline.store()
        await until(lambda: world.metric("greenpower_mqtt_acknowledged_total") == 200)
        await until(lambda: world.source.health() == {"ok": True})
        assert world.metric("greenpower_mqtt_disconnects_total") == 0
        assert world.metric("greenpower_mqtt_unacknowledged_total") == 0

    walk(settings, steps)


@pytest.mark.slow
def test_a_broker_that_is_left_alone_until_there_is_room_is_not_to_blame(settings: Settings, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "mosquitto") as broker:
        using = settings.model_copy(update={"mqtt_broker": broker.host, "mqtt_port": broker.port})

        async def steps(world: World) -> None:
            world.pipeline.batcher.is_full = True  # by frames of another source: this connection is read
            await asyncio.to_thread(broker.stop)
            await until(lambda: world.metric("greenpower_mqtt_disconnects_total") == 1)
            await until(lambda: world.source.health() == {"ok": True, "held_back": True})
            assert world.source.listening_to == ""
            world.pipeline.store()
            await until(lambda: not world.source.health()["ok"])
            assert world.source.health()["problem"]
            await asyncio.to_thread(broker.start)
            await until(lambda: world.source.health() == {"ok": True}, 30)

        walk(using, steps)
