"""The ingest process around its sources: what it asks of them, in which order, and what it says of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvloop
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings
from greenpower.datatype import Mqtt
from greenpower.ingest import housekeeping, runner
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.source import Make, Source, SourceKind, SourceKit
from greenpower.ingest.transports import Transport
from greenpower.loops import TaskLoop
from greenpower.mongo.schema.layout import LISTENING
from tests.ingest.conftest import Document, frame
from tests.wait import until

TOPIC = "MQTT_RT_DATA"


class PostBox:
    """A transport that is all that the protocol asks for. `events`: what was called."""

    name = "post"

    def __init__(self, settings: Settings, pipeline: Pipeline, kit: SourceKit) -> None:
        self.events: list[str] = []
        self.listening_to = ""
        self.ok = True
        self.failing = True
        self.stored: asyncio.Future[None] | None = None
        self._pipeline = pipeline
        self._kit = kit

    async def start(self) -> None:
        self.events.append("start")
        self.listening_to = "the post box"
        self._kit.loops.add(TaskLoop("post", self._run, stalled_after=5.0)).start()

    async def stop(self) -> None:
        self.events.append("stop")
        self.stored = self.take()
        self.listening_to = ""

    async def close(self) -> None:
        assert self.stored is not None
        self.events.append("close, all stored" if self.stored.done() else "close")

    def health(self) -> dict[str, Any]:
        return {"ok": self.ok, "letters": 1}

    def take(self) -> asyncio.Future[None]:
        arrival = Arrival(topic=TOPIC, payload=b"", received_at=datetime.now(UTC), source=self.name)
        arrival.payload = str(frame()).replace("'", '"').encode()
        return self._pipeline.submit(arrival)

    async def _run(self, loop: TaskLoop) -> None:
        while True:
            loop.advance()
            await asyncio.sleep(0.01)
            if self.failing:
                raise RuntimeError("a letter was lost")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> list[PostBox]:
    """The post box that the one line of wiring makes, once ingest runs."""
    made: list[PostBox] = []

    def make(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
        made.append(PostBox(settings, pipeline, kit))
        return made[-1]

    def not_asked_for(settings: Settings, registry: Registry, pipeline: Pipeline, kit: SourceKit) -> Source | None:
        return None

    def kind(make: Make) -> SourceKind:
        return SourceKind(name=PostBox.name, claims=(Mqtt,), make=make)

    wired = (
        Transport(option="post", help="By post.", sources=(kind(not_asked_for), kind(make))),
        Transport(option="pigeon", help="By air.", sources=(kind(make),)),
    )
    monkeypatch.setattr(runner, "TRANSPORTS", wired)
    # Of the process, and this one goes on with other tests.
    monkeypatch.setattr("gc.set_threshold", lambda *_: None)
    return made


def run(settings: Settings, walk: Callable[[], Awaitable[None]]) -> None:
    """Run ingest with the post box, walk, and stop it as an operator does."""

    async def ingest() -> None:
        running = asyncio.create_task(
            runner.Runner(settings=settings, registry=get_registry(), transports={"post"}).run()
        )
        try:
            await walk()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await running

    uvloop.run(ingest())


async def health(settings: Settings) -> tuple[int, dict[str, Any]]:
    """Status and parts of /health; 0 while nothing answers."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{settings.ingest_http_port}/health")
        except httpx.HTTPError:
            return 0, {}
    return answer.status_code, answer.json()["parts"]


async def healthy(settings: Settings, status: int) -> dict[str, Any]:
    """Wait for a status; the parts then."""
    async with asyncio.timeout(60):
        while True:
            got, parts = await health(settings)
            if got == status:
                return parts
            await asyncio.sleep(0.02)


def test_a_source_is_started_reported_and_stopped_in_order(
    settings: Settings, box: list[PostBox], db: Database[Document]
) -> None:
    async def walk() -> None:
        await until(lambda: box and box[0].events)
        box[0].failing = False
        parts = await healthy(settings, 200)
        assert parts["post"] == {"ok": True, "letters": 1}
        assert {"mongo", "pipeline", "loops", "loop", "post"} == set(parts)
        await box[0].take()
        box[0].ok = False
        parts = await healthy(settings, 503)
        assert [name for name, part in parts.items() if not part["ok"]] == ["post"]
        await until(lambda: db[LISTENING].count_documents({"sources": ["post"]}))

    run(settings, walk)
    [post] = box
    assert post.events == ["start", "stop", "close, all stored"]
    assert db.telemetry_events.count_documents({}) == 2


def test_a_batch_that_hangs_makes_health_fail(
    settings: Settings, box: list[PostBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While MongoDB answers: while it does not, frames wait, and the fault is its own."""
    monkeypatch.setattr(housekeeping, "STUCK_SECONDS", 0.3)

    async def walk() -> None:
        await until(lambda: box and box[0].events)
        [post] = box
        post.failing = False
        parts = await healthy(settings, 200)
        assert parts["pipeline"] == {"ok": True, "pending": 0, "pending_bytes": 0, "oldest_seconds": 0.0}
        hanging, release = asyncio.Event(), asyncio.Event()

        async def hang(*_: object) -> None:
            hanging.set()
            await release.wait()

        monkeypatch.setattr(post._pipeline, "_keep_answers", hang)
        stored = post.take()
        await hanging.wait()
        parts = await healthy(settings, 503)
        assert [name for name, part in parts.items() if not part["ok"]] == ["pipeline"]
        assert parts["pipeline"]["pending"] == 1 and parts["pipeline"]["oldest_seconds"] >= 0.3
        with monkeypatch.context() as patch:
            patch.setattr(post._pipeline.presence, "save", away)
            async with asyncio.timeout(60):
                while parts["mongo"]["ok"]:
                    _, parts = await health(settings)
            assert parts["pipeline"]["ok"] and parts["pipeline"]["waiting"]
        release.set()
        await stored
        parts = await healthy(settings, 200)
        assert parts["pipeline"] == {"ok": True, "pending": 0, "pending_bytes": 0, "oldest_seconds": 0.0}

    run(settings, walk)


def test_frames_that_fail_make_health_fail(
    settings: Settings, box: list[PostBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not acknowledged, and the broker sends no more of them on this connection."""

    def fail(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async def walk() -> None:
        await until(lambda: box and box[0].events)
        [post] = box
        post.failing = False
        await healthy(settings, 200)
        with monkeypatch.context() as patch:
            patch.setattr(post._pipeline.metrics, "count_received", fail)
            with pytest.raises(RuntimeError):
                await post.take()
        await post.take()
        parts = await healthy(settings, 503)
        assert [name for name, part in parts.items() if not part["ok"]] == ["pipeline"]
        assert parts["pipeline"]["failed"] == 1 and parts["pipeline"]["pending"] == 0

    run(settings, walk)


async def away() -> None:
    """What MongoDB says when it is away."""
    raise AutoReconnect


def test_a_loop_that_fails_is_restarted_counted_and_makes_health_fail(settings: Settings, box: list[PostBox]) -> None:
    async def walk() -> None:
        await until(lambda: box and box[0].events)
        parts: dict[str, Any] = {}
        while not parts.get("loops", {}).get("failing", {}).get("post"):
            parts = await healthy(settings, 503)
        assert parts["loops"]["failing"]["post"]["last_error"] == "RuntimeError"
        assert parts["loop"]["ok"] and parts["mongo"]["ok"]
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"http://127.0.0.1:{settings.ingest_http_port}/metrics")).text
        assert 'greenpower_loop_restarts_total{loop="post"}' in metrics
        box[0].failing = False
        parts = await healthy(settings, 200)
        assert parts["loops"] == {"ok": True, "failing": {}}

    run(settings, walk)


def test_every_loop_of_the_process_is_supervised(settings: Settings, box: list[PostBox]) -> None:
    async def walk() -> None:
        await until(lambda: box and box[0].events)
        box[0].failing = False
        await healthy(settings, 200)
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"http://127.0.0.1:{settings.ingest_http_port}/metrics")).text
        for loop in ("http", "heartbeat", "save", "rollup-lag", "publisher", "rebuild", "post"):
            assert f'greenpower_loop_ok{{loop="{loop}"}} 1.0' in metrics, loop

    run(settings, walk)
