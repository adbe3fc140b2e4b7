"""One connection for pushes, with a pipeline that stores when it is told to: slow senders, many requests, half-closed
connections, a pipeline that is full or failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from bson import ObjectId
from prometheus_client import CollectorRegistry

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Http, json_parser
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.http.source import PushSource, make
from greenpower.ingest.sources.source import SourceKit
from greenpower.loops import Loops
from greenpower.mongo.devices.push_keys import new_push_key
from tests.wait import until

REGISTRY = Registry.of(
    DataType(
        name="thing", title="Thing", collection="thing_data", match=(Http("thing"),),
        fields=(Field("power", unit="kW"),), parse=json_parser(device="id"),
    )
)  # fmt: skip


class Keys:
    """A collection with one key."""

    def __init__(self) -> None:
        self.document, self.key = new_push_key(name="k", claims=[], devices=[], made_by="t", now=datetime.now(UTC))
        self.looked_up = 0

    async def find_one(self, query: dict[str, ObjectId]) -> dict[str, Any] | None:
        self.looked_up += 1
        return self.document if query["_id"] == self.document["_id"] else None

    async def update_one(self, *_: object) -> None:
        """When it was used is not asked for here."""


class SlowPipeline:
    """Takes frames, and stores them when it is told to."""

    def __init__(self) -> None:
        self.batcher = SimpleNamespace(is_full=False, pending=0)
        self.keys = Keys()
        self.db = {"push_keys": self.keys}
        self.at_once = False
        self.waiting: list[tuple[Arrival, asyncio.Future[None]]] = []
        self.taken: list[bytes] = []

    def submit(self, arrival: Arrival) -> asyncio.Future[None]:
        self.taken.append(arrival.payload)
        self.waiting.append((arrival, asyncio.get_running_loop().create_future()))
        done = self.waiting[-1][1]
        if self.at_once:
            self.store()
        return done

    def store(self) -> None:
        for arrival, done in self.waiting:
            arrival.outcome = "stored"
            done.set_result(None)
        self.waiting.clear()


class World:
    """The source, its only client, and the pipeline."""

    def __init__(self, **values: object) -> None:
        self.pipeline = SlowPipeline()
        settings = Settings.model_validate({"push_port": 0, **values})
        metrics = CollectorRegistry()
        self.admission = Admission(settings, metrics)
        kit = SourceKit(admission=self.admission, loops=Loops(), metrics=metrics)
        source = make(settings, REGISTRY, self.pipeline, kit)  # type: ignore[arg-type]
        assert isinstance(source, PushSource)
        self.source = source

    async def __aenter__(self) -> World:
        await self.source.start()
        self.reader, self.writer = await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await self.source.stop()
        await self.source.close()
        await until(lambda: self.admission.count == 0)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.source.listening_to.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def request(self, body: bytes, *headers: str, length: int | None = None, key: str = "") -> bytes:
        head = [
            "POST /api/ingest/thing/ HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {key or self.pipeline.keys.key}",
            f"Content-Length: {len(body) if length is None else length}",
            *headers,
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and body of the next answer; 0 where the connection is closed."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        lines = head.decode().split("\r\n")
        length = next((line for line in lines if line.lower().startswith("content-length:")), "x: 0")
        body = await asyncio.wait_for(self.reader.readexactly(int(length.partition(":")[2])), 20)
        return int(lines[0].split()[1]), json.loads(body) if body else {}


def run(scenario: Callable[[World], Awaitable[None]], **values: object) -> None:
    async def go() -> None:
        async with World(**values) as world:
            await scenario(world)

    uvloop.run(go())


def test_nothing_is_answered_before_it_is_stored() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"{}"))
        await until(lambda: world.pipeline.taken == [b"{}"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.reader.readexactly(1), 0.05)
        world.pipeline.store()
        status, body = await world.answer()
        assert (status, body["stored"]) == (200, 1)

    run(scenario)


def test_frames_go_on_while_the_rest_is_still_sent() -> None:
    async def scenario(world: World) -> None:
        whole = world.request(b'{"a":1}\n{"a":2}\n{"a":3}', "Content-Type: application/x-ndjson")
        for at in range(len(whole) - 4):
            world.writer.write(whole[at : at + 1])
            await world.writer.drain()
        await until(lambda: len(world.pipeline.taken) == 2)
        # Another sender is not held up by this one.
        world.pipeline.at_once = True
        slow = world.reader
        world.reader, other = await world.connect()
        other.write(world.request(b"{}"))
        assert (await world.answer())[0] == 200
        other.close()
        world.reader = slow
        world.writer.write(whole[-4:])
        assert (await world.answer())[1]["frames"] == 3

    run(scenario)


def test_requests_that_are_sent_ahead() -> None:
    async def scenario(world: World) -> None:
        world.pipeline.at_once = True
        one = world.request(b"{}")
        world.writer.write(one * 500)
        for _ in range(500):
            assert (await world.answer())[0] == 200
        assert len(world.pipeline.taken) == 500

    run(scenario, push_frames_per_minute=0)


def test_a_key_is_not_looked_up_for_each_request() -> None:
    async def scenario(world: World) -> None:
        world.pipeline.at_once = True
        world.writer.write(world.request(b"{}") * 100)
        for _ in range(100):
            assert (await world.answer())[0] == 200
        assert world.pipeline.keys.looked_up < 50

    run(scenario)


def test_a_sender_that_never_ends_is_closed() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"{", length=10))
        assert await asyncio.wait_for(world.reader.read(), 20) == b""
        assert not world.pipeline.taken

    run(scenario, push_request_seconds=0.1)


def test_not_stored_in_time() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"{}"))
        status, body = await world.answer()
        assert (status, body["code"]) == (503, 503)
        world.pipeline.store()
        world.pipeline.at_once = True
        world.writer.write(world.request(b"{}"))
        assert (await world.answer())[0] == 200

    run(scenario, push_answer_seconds=0.1)


def test_a_failed_batch_is_not_acknowledged() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"{}\n{}", "Content-Type: application/x-ndjson"))
        await until(lambda: len(world.pipeline.waiting) == 2)
        world.pipeline.waiting[0][1].set_exception(RuntimeError("full disk"))
        world.pipeline.waiting[1][1].cancel()
        assert (await world.answer())[0] == 503

    run(scenario)


def test_no_more_is_read_while_the_pipeline_is_full() -> None:
    async def scenario(world: World) -> None:
        world.pipeline.at_once = True
        world.pipeline.batcher.is_full = True
        lines = (b"{}" + b" " * 800 + b"\n") * 9_000
        world.writer.write(world.request(lines, "Content-Type: application/x-ndjson"))
        await until(lambda: any(one.held for one in world.source.listener.connections) and bool(world.pipeline.taken))
        assert len(world.pipeline.taken) < 9_000
        world.pipeline.batcher.is_full = False
        assert (await world.answer())[1]["frames"] == 9_000

    run(scenario)


def test_a_sender_that_has_said_all_gets_its_answer() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"{}"))
        world.writer.write_eof()
        await until(lambda: bool(world.pipeline.waiting))
        world.pipeline.store()
        assert (await world.answer())[0] == 200
        assert await asyncio.wait_for(world.reader.read(), 20) == b""

    run(scenario)


def test_a_refused_sender_can_read_why_while_it_sends() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"", "Expect: 100-continue", length=3, key="wrong"))
        assert (await world.answer())[0] == 401
        world.reader, writer = await world.connect()
        writer.write(world.request(b"x" * 5_000_000, "Content-Type: application/x-ndjson", key="wrong"))
        assert (await world.answer())[0] == 401
        writer.close()
        assert not world.pipeline.taken

    run(scenario)


def test_a_sender_that_asks_first_is_told_to_go_on() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"", "Expect: 100-continue", length=2))
        assert (await world.answer())[0] == 100
        world.writer.write(b"{}")
        await until(lambda: bool(world.pipeline.waiting))
        world.pipeline.store()
        assert (await world.answer())[0] == 200

    run(scenario)


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"X" * 70_000, b"POST / HTTP/9.9\r\n\r\n"]
)
def test_garbage_is_refused(garbage: bytes) -> None:
    async def scenario(world: World) -> None:
        world.writer.write(garbage)
        status, _ = await world.answer()
        assert 400 <= status < 500

    run(scenario)


def test_what_was_taken_is_answered_when_ingest_stops() -> None:
    async def scenario(world: World) -> None:
        world.writer.write(world.request(b"{}"))
        await until(lambda: bool(world.pipeline.waiting))
        await world.source.stop()
        world.pipeline.store()
        assert (await world.answer())[0] == 200
        assert await asyncio.wait_for(world.reader.read(), 20) == b""

    run(scenario)


def test_a_sender_without_a_key_is_crowded_out() -> None:
    async def scenario(world: World) -> None:
        world.pipeline.at_once = True
        world.writer.write(world.request(b"{}"))
        assert (await world.answer())[0] == 200
        strangers = [await world.connect() for _ in range(3)]
        await until(lambda: strangers[0][0].at_eof())
        world.writer.write(world.request(b"{}"))
        assert (await world.answer())[0] == 200
        for _, writer in strangers:
            writer.close()

    run(scenario, tcp_max_connections=3)


def test_one_key_has_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenpower.ingest.sources.http.access.MAX_CONNECTIONS_PER_KEY", 2)

    async def scenario(world: World) -> None:
        world.pipeline.at_once = True
        found = []
        kept = [await world.connect() for _ in range(3)]
        for reader, writer in kept:
            writer.write(world.request(b"{}") * 2)
            world.reader = reader
            found.append((await world.answer())[0])
        assert found == [200, 200, 429]
        kept[0][1].close()
        await until(lambda: world.admission.count <= 3)

        async def again() -> int:
            world.reader, writer = await world.connect()
            writer.write(world.request(b"{}"))
            status = (await world.answer())[0]
            writer.close()
            return status

        while await again() != 200:
            await asyncio.sleep(0.01)
        for _, writer in kept:
            writer.close()

    run(scenario)


def test_a_sender_that_reads_no_answers_is_closed() -> None:
    async def scenario(world: World) -> None:
        world.pipeline.at_once = True
        world.writer.write(world.request(b"{}"))
        assert (await world.answer())[0] == 200
        [connection] = world.source.listener.connections
        connection.pause_writing()  # as the transport does once much was written that is not read
        world.writer.write(world.request(b"{}") * 3)
        await until(lambda: connection.held)
        connection.resume_writing()
        for _ in range(3):
            assert (await world.answer())[0] == 200
        world.source.request_seconds = 0.1
        connection.pause_writing()
        world.writer.write(world.request(b"{}"))
        assert await asyncio.wait_for(world.reader.read(), 20) == b""
        assert len(world.pipeline.taken) == 4

    run(scenario)
