"""A TCP connection gives its place back however it ends, and is counted once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from prometheus_client import CollectorRegistry

from greenpower.config import Settings
from greenpower.ingest.sources import connection as connection_module
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.ingest.sources.listener import TcpListener
from tests.tls import write_authority, write_certificate
from tests.wait import until

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LINGER_RESET = b"\1\0\0\0\0\0\0\0"


class Fault(Exception):
    """What a transport should never raise."""


class Spoiled(TcpConnection):
    """A connection that fails in one of its callbacks, named by the first line that it gets or by `at_once`."""

    at_once = ""
    fails_in = ""

    def _fail(self, place: str) -> None:
        if place in (self.fails_in, self.at_once):
            raise Fault(place)

    def opened(self) -> None:
        self._fail("opened")

    def received(self, data: bytes) -> None:
        self.fails_in = data.decode().strip()
        self._fail("received")
        if self.fails_in == "due":
            self.set_deadline(self.clock.now())
        elif self.fails_in == "name":
            self.listener.admission.name(self)
        elif self.fails_in == "close":
            self.close("told")
        elif self.fails_in == "flush":
            assert self.transport is not None
            self.transport.write(b"x" * 50_000_000)
            self.close("told", flush=True)
        elif self.fails_in == "hold":
            self.hold()
            self._loop.call_later(0.05, self.resume)

    def due(self) -> None:
        self._fail("due")

    def finished(self) -> bool:
        self._fail("finished")
        return super().finished()

    def ended(self) -> None:
        self._fail("ended")


class Ports:
    """A listener, and what its admission counts."""

    def __init__(self, settings: Settings, make: type[TcpConnection], tls: ssl.SSLContext | None = None) -> None:
        self._writers: list[asyncio.StreamWriter] = []
        self.registry = CollectorRegistry()
        self.admission = Admission(settings, self.registry)
        self.listener = TcpListener(
            make, host="127.0.0.1", port=0, setting="PORT", admission=self.admission, tls=tls, handshake_seconds=0.5
        )

    @property
    def places(self) -> int:
        value = self.registry.get_sample_value("greenpower_tcp_connections")
        assert value == self.admission.count == len(self.listener.connections)
        return int(value)

    def closed(self) -> dict[str, float]:
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {s.labels["reason"]: s.value for s in samples if s.name == "greenpower_tcp_closed_total"}

    async def connect(self, said: bytes = b"", **options: Any) -> Opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, **options)
        self._writers.append(writer)
        writer.write(said)
        return reader, writer

    async def close(self) -> None:
        self.listener.stop()
        self.listener.close_all()
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def listening(ports: Ports) -> AsyncIterator[None]:
    await ports.listener.start()
    try:
        yield
    finally:
        await ports.close()


def check(settings: Settings, walk: Callable[[Ports], Awaitable[dict[str, float]]], **options: Any) -> None:
    """Run a walk. It returns the connections that ended, by reason; then there is none left."""

    async def run() -> None:
        ports = Ports(settings, **{"make": Spoiled, **options})
        async with listening(ports):
            expected = await walk(ports)
            await until(lambda: ports.places == 0)
        assert ports.closed() == expected
        assert ports.places == 0

    uvloop.run(run())


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"received", "failed"), (b"due", "failed"), (b"close", "told"), (b"flush", "told")],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_ended_by_us(settings: Settings, said: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last: a peer that does not read what was written last keeps no socket."""
    monkeypatch.setattr(connection_module, "FLUSH_SECONDS", 0.2)

    async def walk(ports: Ports) -> dict[str, float]:
        good, bad = await ports.connect(b"hello"), await ports.connect(said)
        await until(lambda: ports.places == 1 and ports.closed())
        good[1].close()
        bad[1].close()
        return {reason: 1, "ended": 1}

    check(settings, walk)


@pytest.mark.parametrize("place", ["opened", "ended", "finished"])
@pytest.mark.parametrize("named", [True, False])
def test_a_callback_that_fails(settings: Settings, place: str, named: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Spoiled):
        at_once = place

    async def walk(ports: Ports) -> dict[str, float]:
        opened = [await ports.connect(b"name" if named else b"") for _ in range(3)]
        await asyncio.sleep(0.05)
        for _, writer in opened:
            writer.close()
        await until(lambda: sum(ports.closed().values()) == 3)
        return {"ended" if place == "ended" else "failed": 3}

    check(settings, walk, make=Failing)
    assert caplog.text.count("Fault") >= 3


@pytest.mark.parametrize("said", [b"", b"name", b"hold", b"ended"], ids=["silent", "named", "held", "ended fails"])
@pytest.mark.parametrize("reset", [True, False])
def test_ended_by_the_peer(settings: Settings, said: bytes, reset: bool) -> None:
    async def walk(ports: Ports) -> dict[str, float]:
        _, writer = await ports.connect(said)
        await until(lambda: ports.places == 1)
        await asyncio.sleep(0.02)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        writer.close()
        await until(ports.closed)
        return {"lost" if reset else "ended": 1}

    check(settings, walk)


def test_refused_and_crowded_out(settings: Settings) -> None:
    async def walk(ports: Ports) -> dict[str, float]:
        opened = [await ports.connect(said) for said in (b"", b"name", b"ended")]
        await until(lambda: ports.places == 3)
        await asyncio.sleep(0.05)
        for _ in range(3):  # the two that are nameless go, then the first of these
            opened.append(await ports.connect())
            await asyncio.sleep(0.05)
        assert ports.places == 3
        ports.admission.max_per_address = 3
        opened.append(await ports.connect())
        await until(lambda: "refused" in ports.closed())
        for _, writer in opened:
            writer.close()
        await until(lambda: ports.places == 0)
        return {"crowded-out": 3, "refused": 1, "ended": 3}

    check(settings.model_copy(update={"tcp_max_connections": 3}), walk)


def test_a_listener_that_is_closed_ends_them_all(settings: Settings) -> None:
    async def walk(ports: Ports) -> dict[str, float]:
        opened = [await ports.connect(said) for said in (b"", b"name", b"hold", b"ended")]
        await until(lambda: ports.places == 4)
        await asyncio.sleep(0.02)
        ports.listener.stop()
        assert ports.places == 4 and ports.listener.listening_to == ""
        ports.listener.close_all()
        assert ports.places == 0
        for reader, writer in opened:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
        return {"stopping": 4}

    check(settings, walk)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """What the listener speaks TLS with, and who vouches for it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    chain, key = write_certificate(folder, "ingest", authority, "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context, write_authority(folder, "ours", authority)


@pytest.mark.parametrize("how", ["noise", "silence", "half", "reset", "cancelled", "no trust"])
def test_a_handshake_that_fails(settings: Settings, tls: tuple[ssl.SSLContext, Path], how: str) -> None:
    async def walk(ports: Ports) -> dict[str, float]:
        if how == "no trust":
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection("127.0.0.1", ports.listener.port, ssl=ssl.create_default_context())
        else:
            _, writer = await ports.connect({"noise": b"GET / HTTP/1.1\r\n\r\n", "half": b"\x16\x03\x01"}.get(how, b""))
            if how == "reset":
                await until(lambda: ports.places == 1)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
                writer.close()
            elif how == "cancelled":
                await until(lambda: ports.places == 1)
                [connection] = ports.listener.connections
                assert connection.handshake is not None
                connection.handshake.cancel()
        await until(ports.closed)
        return {"no-tls": 1} if how != "no trust" else ports.closed()

    check(settings, walk, tls=tls[0])


def test_a_handshake_may_be_crowded_out_before_it_begins(settings: Settings, tls: tuple[ssl.SSLContext, Path]) -> None:
    async def walk(ports: Ports) -> dict[str, float]:
        opened = [await ports.connect() for _ in range(5)]
        await until(lambda: ports.closed().get("crowded-out") == 4)
        for reader, writer in opened[:4]:
            with suppress(ConnectionResetError):
                assert await reader.read() == b"", "its socket is closed"
            writer.close()
        opened[4][1].close()
        await until(lambda: ports.places == 0)
        return {"crowded-out": 4, "no-tls": 1}

    check(settings.model_copy(update={"tcp_max_connections": 1}), walk, tls=tls[0])


@pytest.mark.parametrize("place", ["opened", "received", "ended"])
def test_a_callback_that_fails_after_the_handshake(
    settings: Settings, tls: tuple[ssl.SSLContext, Path], place: str
) -> None:
    class Failing(Spoiled):
        at_once = place

    async def walk(ports: Ports) -> dict[str, float]:
        context = ssl.create_default_context(cafile=str(tls[1]))
        _, writer = await ports.connect(b"x", ssl=context)
        if place == "ended":
            writer.close()
        await until(ports.closed)
        reason = set(ports.closed())
        assert reason == {"failed"} if place != "ended" else reason <= {"ended", "lost"}
        writer.close()
        return ports.closed()

    check(settings, walk, make=Failing, tls=tls[0])


PATIENCE_SECONDS = 0.5


class Patient(TcpConnection):
    """A connection whose deadline each of its bytes puts off."""

    def received(self, data: bytes) -> None:
        self.set_deadline(self.clock.now() + PATIENCE_SECONDS)

    def due(self) -> None:
        self.close("late")


def test_a_deadline_is_put_off_by_what_comes_and_is_kept_then(settings: Settings) -> None:
    async def walk(ports: Ports) -> dict[str, float]:
        reader, writer = await ports.connect()
        loop = asyncio.get_running_loop()
        for _ in range(8):
            last = loop.time()
            writer.write(b"x")
            await asyncio.sleep(0.1)
        assert await reader.read() == b""
        assert loop.time() - last >= PATIENCE_SECONDS - 0.01
        return {"late": 1}

    check(settings, walk, make=Patient)
