"""Connections while the pipeline is full: they are not read, not closed, and read on when there is room."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.gateway import source as gateway
from greenpower.ingest.sources.gateway.connection import MAX_UNSETTLED_FRAMES
from greenpower.ingest.sources.lines import source as lines
from greenpower.ingest.sources.lines.connection import MAX_UNANSWERED_LINES
from greenpower.ingest.sources.source import Make, Source, SourceKit
from greenpower.loops import Loops
from tests.ingest.sources.test_transport_faults import ANSWER, LINE, registry
from tests.wait import until

TOKEN = b"open sesame\n"
IDLE_SECONDS = 1.0


class SlowPipeline:
    """Takes frames, and stores them when it is told to."""

    def __init__(self) -> None:
        self.batcher = SimpleNamespace(is_full=False, pending=0)
        self.presence = SimpleNamespace(heard=lambda *_: None)
        self.waiting: list[asyncio.Future[None]] = []
        self.taken = 0

    def submit(self, arrival: Arrival) -> asyncio.Future[None]:
        self.taken += 1
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    def store(self) -> None:
        for done in self.waiting:
            done.set_result(None)
        self.waiting.clear()


class World:
    """A source, its only client, and the pipeline."""

    def __init__(self, settings: Settings, make: Make) -> None:
        self.pipeline = SlowPipeline()
        self.metrics = CollectorRegistry()
        using = settings.model_copy(
            update={
                "tcp_port": 0,
                "tcp_lines_port": 0,
                "tcp_lines_token": SecretStr(TOKEN.decode().strip()),
                "tcp_idle_seconds": IDLE_SECONDS,
            }
        )
        kit = SourceKit(admission=Admission(using, self.metrics), loops=Loops(), metrics=self.metrics)
        self.admission = kit.admission
        source = make(using, registry(""), self.pipeline, kit)  # type: ignore[arg-type]
        assert source is not None
        self.source: Source = source

    async def __aenter__(self) -> World:
        await self.source.start()
        self.reader, self.writer = await asyncio.open_connection(*self.source.listening_to.split(":"))
        return self

    async def stop(self) -> None:
        """As ingest does."""
        await self.source.stop()
        self.pipeline.store()
        await asyncio.sleep(0)
        await self.source.close()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)
        await until(lambda: self.admission.count == 0)


def test_lines_are_not_read_while_others_fill_the_pipeline(settings: Settings) -> None:
    async def walk() -> None:
        async with World(settings, lines.make) as world:
            world.writer.write(TOKEN)
            assert await world.reader.readline() == b"ok\n"
            world.pipeline.batcher.is_full = True
            world.writer.write(LINE)
            await until(lambda: world.pipeline.taken == 1)
            world.pipeline.store()
            assert await world.reader.readline() == b"ok\n", "what was read is answered"
            world.writer.write(LINE * 5)
            await asyncio.sleep(1.5 * IDLE_SECONDS)
            assert world.pipeline.taken == 1 and world.admission.count == 1
            world.pipeline.batcher.is_full = False
            await until(lambda: world.pipeline.taken == 6)
            world.pipeline.store()
            assert await world.reader.readexactly(15) == b"ok\n" * 5
            await until(lambda: world.admission.count == 0)  # silent now, by its own fault

    uvloop.run(walk())


@pytest.mark.parametrize("count", [1, 3 * MAX_UNANSWERED_LINES])
def test_lines_that_are_not_answered_yet_are_bounded_and_are_answered_at_the_stop(
    settings: Settings, count: int
) -> None:
    async def walk() -> None:
        async with World(settings, lines.make) as world:
            world.writer.write(TOKEN)
            for _ in range(count):
                world.writer.write(LINE)
                if count > 1:
                    await asyncio.sleep(0)  # in pieces
            await asyncio.sleep(1.5 * IDLE_SECONDS)
            taken = world.pipeline.taken
            assert taken == 1 or MAX_UNANSWERED_LINES <= taken < count
            await world.stop()
            with suppress(ConnectionResetError):  # what was not read may end the connection
                answers = await world.reader.readexactly(3 * (1 + taken))
                assert answers == b"ok\n" * (1 + taken) and world.pipeline.taken == taken

    uvloop.run(walk())


def test_a_gateway_is_not_read_while_its_frames_are_not_stored(settings: Settings) -> None:
    async def walk() -> None:
        async with World(settings, gateway.make) as world:
            for _ in range(MAX_UNSETTLED_FRAMES):
                world.writer.write(b"FAULTY01")
                await world.reader.readexactly(12)
                world.writer.write(ANSWER)
            await until(lambda: world.pipeline.taken == MAX_UNSETTLED_FRAMES)
            world.writer.write(b"FAULTY01")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):  # longer than an answer may take
                    await world.reader.readexactly(12)
            world.pipeline.store()
            assert len(await world.reader.readexactly(12)) == 12
            assert world.admission.count == 1

    uvloop.run(walk())
