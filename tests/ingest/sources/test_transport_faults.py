"""A fault in a dialogue or in the pipeline ends the connection that it came up on, which gives its place back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Tcp
from greenpower.framing.dialogue import PollDialogue
from greenpower.framing.poll import Block, ModbusPoll
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.gateway import source as gateway
from greenpower.ingest.sources.lines import source as lines
from greenpower.ingest.sources.source import Make, SourceKit
from greenpower.loops import Loops
from tests.wait import until

POLL = ModbusPoll(Block(register=3000, layout="float32", fields=("current_a",)), timeout=0.05)
ANSWER = bytes.fromhex("00 01 00 00 00 07 01 03 04 41 20 00 00")
TOKEN = "open sesame"
LINE = b'{"topic": "t", "payload": {}}\n'


class Fault(Exception):
    """What should never be raised."""


class FaultyDialogue(PollDialogue):
    """A talk that fails in one of its methods."""

    fails_in = ""

    def _fail(self, place: str) -> None:
        if place == self.fails_in:
            raise Fault(place)

    def receive(self, data: bytes, now: float) -> None:
        super().receive(data, now)
        self._fail("receive")

    def tick(self, now: float) -> None:
        self._fail("tick")
        super().tick(now)

    def close(self) -> None:
        self._fail("close")
        super().close()

    def take_frames(self) -> list[tuple[bytes, float]]:
        self._fail("take_frames")
        return super().take_frames()


def registry(fails_in: str) -> Registry:
    """One data type of gateways, whose dialogue fails there."""

    def dialogue(claim: Tcp) -> PollDialogue:
        if fails_in == "make":
            raise Fault(fails_in)
        talk = FaultyDialogue(claim, POLL.requests, timeout=0.05, greatest_pause=1, silence=100)
        talk.fails_in = fails_in
        return talk

    return Registry.of(
        DataType(
            name="faulty",
            title="Faulty",
            collection="faulty_data",
            match=(Tcp(registration="FAULTY##", dialogue=dialogue),),
            fields=(Field("current_a", unit="A", title="current"),),
            parse=POLL,
            tiers=(),
            stale_after=60,
        )
    )


class FakePipeline:
    """Takes frames. `fails`: on submit (`submit`), or later (`store`)."""

    def __init__(self, fails: str) -> None:
        self.fails = fails
        self.batcher = SimpleNamespace(is_full=False, pending=0)
        self.presence = SimpleNamespace(heard=lambda *_: None)

    def submit(self, arrival: Arrival) -> asyncio.Future[None]:
        if self.fails == "submit":
            raise Fault("submit")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.02, self._end, done)
        return done

    def _end(self, done: asyncio.Future[None]) -> None:
        if self.fails == "store":
            done.set_exception(Fault("store"))
            done.exception()
        else:
            done.set_result(None)


def closed_after(
    settings: Settings, make: Make, said: bytes, *, dialogue: str = "", pipeline: Any = ""
) -> dict[str, float]:
    """How the only connection ended, which says something and waits. There is no place taken then."""

    async def run() -> dict[str, float]:
        metrics = CollectorRegistry()
        kit = SourceKit(admission=Admission(settings, metrics), loops=Loops(), metrics=metrics)
        source = make(settings, registry(dialogue), FakePipeline(pipeline), kit)  # type: ignore[arg-type]
        assert source is not None
        await source.start()
        reader, writer = await asyncio.open_connection(*source.listening_to.split(":"))
        writer.write(said)

        def closed() -> dict[str, float]:
            samples = [sample for family in metrics.collect() for sample in family.samples]
            return {s.labels["reason"]: s.value for s in samples if s.name == "greenpower_tcp_closed_total"}

        with_end = asyncio.create_task(reader.read())
        if dialogue in ("close",):
            await asyncio.sleep(0.05)
            writer.close()
        await until(closed)
        await until(lambda: kit.admission.count == 0)
        assert metrics.get_sample_value("greenpower_tcp_connections") == 0
        assert source.health()["ok"] and all(not value for key, value in source.health().items() if key != "ok")
        writer.close()
        await asyncio.gather(with_end, writer.wait_closed(), return_exceptions=True)
        await source.stop()
        await source.close()
        assert source.listening_to == ""
        return closed()

    return uvloop.run(run())


@pytest.fixture
def using(settings: Settings) -> Settings:
    """Settings with free ports, and lines."""
    return settings.model_copy(
        update={
            "tcp_port": 0,
            "tcp_lines_port": 0,
            "tcp_lines_token": SecretStr(TOKEN),
            "tcp_registration_seconds": 5.0,
        }
    )


@pytest.mark.parametrize("place", ["make", "receive", "tick", "take_frames"])
def test_a_dialogue_that_fails(using: Settings, place: str) -> None:
    assert closed_after(using, gateway.make, b"FAULTY01", dialogue=place) == {"failed": 1}


def test_a_dialogue_that_fails_as_it_is_closed(using: Settings) -> None:
    assert closed_after(using, gateway.make, b"FAULTY01", dialogue="close") == {"ended": 1}


@pytest.mark.parametrize("said", [b"FAULTY01" + ANSWER, b"GET / HTTP/1.1\r\n"], ids=["a round", "not registered"])
def test_a_pipeline_that_fails_a_gateway(using: Settings, said: bytes) -> None:
    assert closed_after(using, gateway.make, said, pipeline="submit") == {"failed": 1}


@pytest.mark.parametrize("fails", ["submit", "store"])
@pytest.mark.parametrize("count", [1, 2000])
def test_a_pipeline_that_fails_lines(using: Settings, fails: str, count: int) -> None:
    said = TOKEN.encode() + b"\n" + LINE * count
    assert closed_after(using, lines.make, said, pipeline=fails) == {"failed": 1}


@pytest.mark.parametrize(
    ("make", "said", "reason"),
    [
        (gateway.make, b"GET / HTTP/1.1\r\n", "not-registered"),
        (gateway.make, b"FAULTY", "nameless"),
        (gateway.make, b"", "nameless"),
        (lines.make, b"", "nameless"),
        (lines.make, b"open barley\n", "bad-token"),
        (lines.make, b"x" * 3000, "bad-token"),
    ],
)
def test_a_registration_that_fails(using: Settings, make: Callable[..., Any], said: bytes, reason: str) -> None:
    using = using.model_copy(update={"tcp_registration_seconds": 0.1})
    assert closed_after(using, make, said) == {reason: 1}
