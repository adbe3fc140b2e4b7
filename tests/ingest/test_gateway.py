"""Gateways on real sockets, as badly as they behave."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo.database import Database

from greenpower.config import Settings
from plugins.solar import FIELDS, POLL
from tests.ingest.conftest import Document, wait_events
from tests.process import Command
from tests.wait import wait_until

REQUESTS = [
    bytes.fromhex("01 26 00 00 00 06 01 03 0B B7 00 0A"),
    bytes.fromhex("01 6E 00 00 00 06 01 03 0B ED 00 06"),
    bytes.fromhex("01 B6 00 00 00 06 01 03 0C 83 00 08"),
]
VALUES = {field.name: 10.0 + number for number, field in enumerate(FIELDS)}
VALUES |= {"active_energy_delivered": 123_456_789_012, "active_energy_received": 42}
HEARTBEAT = b"GWCCCL0001"


class Gateway:
    """A gateway with its meter."""

    def __init__(self, port: int, name: bytes = HEARTBEAT) -> None:
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(10)

    def heartbeat(self) -> bytes:
        """Send the registration packet; the request that comes back."""
        self.socket.sendall(self.name)
        return self.request()

    def request(self) -> bytes:
        """The next request."""
        data = b""
        while len(data) < 12:
            part = self.socket.recv(12 - len(data))
            assert part, "closed"
            data += part
        return data

    def answer(self, request: bytes, **values: float) -> bytes:
        """What the meter answers."""
        return POLL.answer(request, {**VALUES, **values})

    def round(self, **values: float) -> None:
        """Three heartbeats and answers."""
        for _ in range(3):
            request = self.heartbeat()
            self.socket.sendall(self.answer(request, **values))

    def is_closed(self) -> bool:
        """Whether the server ended the connection."""
        self.socket.settimeout(0.05)
        try:
            return self.socket.recv(100) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.socket.close()


Start = Callable[..., Command]
Connect = Callable[..., Gateway]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start `greenpower ingest --tcp`."""
    with ExitStack() as stack:

        def go(**values: Any) -> Command:
            using = Settings.model_validate({**settings.model_dump(), **values})
            command = stack.enter_context(Command(using, "ingest", "--tcp", folder=tmp_path)).wait_healthy()
            wait_until(lambda: "listening on" in command.log.read_text())
            return command

        yield go


@pytest.fixture
def connect(settings: Settings) -> Iterator[Connect]:
    """Connect gateways."""
    gateways: list[Gateway] = []

    def go(name: bytes = HEARTBEAT) -> Gateway:
        gateways.append(Gateway(settings.tcp_port, name))
        return gateways[-1]

    yield go
    for gateway in gateways:
        gateway.close()


def readings(db: Database[Document], count: int, device: str = "GWCCCL0001") -> list[Document]:
    """Wait for so many readings of a gateway."""
    wait_until(lambda: db.solar_data.count_documents({"device_id": device}) >= count)
    found = list(db.solar_data.find({"device_id": device}).sort("timestamp"))
    assert len(found) == count
    return found


def test_a_round_is_a_reading_stamped_with_its_last_answer(
    start: Start, connect: Connect, db: Database[Document]
) -> None:
    start()
    gateway = connect()
    asked = []
    for _ in range(3):
        asked.append(gateway.heartbeat())
        before = datetime.now(UTC)
        gateway.socket.sendall(gateway.answer(asked[-1]))
    [reading] = readings(db, 1)
    assert asked == REQUESTS
    assert reading["payload"] == VALUES
    assert reading["complete"] is True
    assert abs(reading["timestamp"] - before) < timedelta(seconds=1)
    [event] = db.telemetry_events.find()
    assert (event["outcome"], event["type"], event["hex"]) == ("stored", "solar", True)
    assert event["raw"] == b"".join(gateway.answer(request) for request in REQUESTS).hex()


def test_single_bytes(start: Start, connect: Connect, db: Database[Document]) -> None:
    start()
    gateway = connect()
    for _ in range(3):
        for byte in HEARTBEAT:
            gateway.socket.sendall(bytes([byte]))
        for byte in gateway.answer(gateway.request()):
            gateway.socket.sendall(bytes([byte]))
    assert readings(db, 1)[0]["payload"] == VALUES


def test_a_heartbeat_glued_to_an_answer_and_before_the_next(
    start: Start, connect: Connect, db: Database[Document]
) -> None:
    start()
    gateway = connect()
    request = gateway.heartbeat()
    for _ in range(8):
        gateway.socket.sendall(gateway.answer(request) + HEARTBEAT)
        request = gateway.request()
    gateway.socket.sendall(HEARTBEAT + gateway.answer(request))
    assert [reading["payload"] for reading in readings(db, 3)] == [VALUES] * 3


def test_all_answers_in_one_write(start: Start, connect: Connect, db: Database[Document]) -> None:
    start()
    gateway = connect()
    gateway.heartbeat()
    # Nobody asked for the other two yet: they are noted, not believed.
    gateway.socket.sendall(b"".join(gateway.answer(request) for request in REQUESTS))
    gateway.socket.sendall(HEARTBEAT)
    assert gateway.request() == REQUESTS[1]
    gateway.socket.sendall(gateway.answer(REQUESTS[1]))
    assert gateway.heartbeat() == REQUESTS[2]
    gateway.socket.sendall(gateway.answer(REQUESTS[2]))
    assert readings(db, 1)[0]["payload"] == VALUES
    assert db.telemetry_events.count_documents({"outcome": "noted"}) >= 1


def test_an_exception_is_an_answer(start: Start, connect: Connect, db: Database[Document]) -> None:
    start()
    gateway = connect()
    request = gateway.heartbeat()
    gateway.socket.sendall(gateway.answer(request))
    request = gateway.heartbeat()
    gateway.socket.sendall(request[:4] + bytes.fromhex("00 03 01 83 02"))
    request = gateway.heartbeat()
    assert request == REQUESTS[2]
    gateway.socket.sendall(gateway.answer(request))
    [reading] = readings(db, 1)
    assert "active_power_a" not in reading["payload"]
    assert reading["payload"]["current_a"] == VALUES["current_a"]
    assert reading["complete"] is False
    [event] = wait_events(db, 1, outcome="noted", reason="exception")
    assert "illegal data address" in event["detail"]
    assert event["device_id"] == "GWCCCL0001"


def test_a_newer_connection_replaces_the_older(start: Start, connect: Connect, db: Database[Document]) -> None:
    command = start()
    older = connect()
    older.socket.sendall(older.answer(older.heartbeat()))
    newer = connect()
    newer.round(current_a=77.0)
    assert readings(db, 1)[0]["payload"]["current_a"] == 77.0
    wait_until(older.is_closed)
    assert command.metric("greenpower_tcp_closed_total", reason="replaced") == 1
    wait_events(db, 1, reason="unfinished-round")


def test_silence_after_half_a_header_stops_nobody(start: Start, connect: Connect, db: Database[Document]) -> None:
    start()
    silent, good = connect(b"GWCCCL0002"), connect()
    silent.socket.sendall(silent.answer(silent.heartbeat())[:5])
    for _ in range(3):
        good.round()
    readings(db, 3)
    assert db.solar_data.count_documents({"device_id": "GWCCCL0002"}) == 0


def test_random_bytes_are_rejected_and_closed(start: Start, connect: Connect, db: Database[Document]) -> None:
    command = start()
    stranger = connect()
    stranger.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    wait_until(stranger.is_closed)
    [event] = wait_events(db, 1)
    assert (event["outcome"], event["reason"], event["type"]) == ("rejected", "not-registered", None)
    assert event["raw"].startswith("GET /")
    assert command.metric("greenpower_frames_rejected_total", reason="not-registered") == 1


def test_a_connection_that_says_nothing_is_closed(start: Start, connect: Connect) -> None:
    command = start(tcp_registration_seconds=0.3)
    mute = connect()
    named = connect()
    named.heartbeat()
    wait_until(mute.is_closed)
    assert command.metric("greenpower_tcp_closed_total", reason="nameless") == 1
    assert not named.is_closed()


def test_mute_connections_do_not_keep_a_gateway_out(start: Start, connect: Connect, db: Database[Document]) -> None:
    command = start(tcp_max_connections=20)
    gateway = connect()
    gateway.heartbeat()
    mute = [connect() for _ in range(40)]
    wait_until(mute[0].is_closed)
    late = connect(b"GWCCCL0003")
    late.round()
    readings(db, 1, "GWCCCL0003")
    assert not gateway.is_closed()
    assert command.metric("greenpower_tcp_connections") <= 20


def test_connections_of_one_address_may_be_limited(start: Start, connect: Connect) -> None:
    start(tcp_max_per_address=2)
    first, second, third = connect(), connect(b"GWCCCL0002"), connect(b"GWCCCL0003")
    wait_until(third.is_closed)
    first.heartbeat()
    second.heartbeat()


def test_a_heartbeat_is_a_sign_of_life_and_no_event(start: Start, connect: Connect, db: Database[Document]) -> None:
    start()
    gateway = connect()
    gateway.heartbeat()
    seen = wait_until(lambda: db.devices_seen.find_one({"_id": "solar|GWCCCL0001"}))
    assert seen is not None
    assert "last_reading" not in seen
    assert datetime.now(UTC) - seen["last_heard"] < timedelta(seconds=10)
    assert db.telemetry_events.count_documents({}) == 0


def test_two_thousand_gateways(
    start: Start, settings: Settings, db: Database[Document], record_property: Callable[[str, object], None]
) -> None:
    """None is starved: every gateway gets all its requests, each within 10 s of its heartbeat."""
    count, rounds, period = 2000, 2, 2.0
    command = start()
    before = psutil.Process(command.process.pid).memory_info().rss
    slowest = 0.0

    async def gateway(number: int) -> None:
        nonlocal slowest
        name = f"GWCCCL{number:04d}".encode()
        await asyncio.sleep(number / count * period)
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.tcp_port)
        for _ in range(3 * rounds):
            began = time.monotonic()
            writer.write(name)
            request = await asyncio.wait_for(reader.readexactly(12), 30)
            writer.write(POLL.answer(request, VALUES))
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(max(0.0, period - (time.monotonic() - began)))
        writer.close()
        await writer.wait_closed()

    async def all_of_them() -> None:
        await asyncio.gather(*(gateway(number) for number in range(count)))

    asyncio.run(all_of_them())
    wait_until(lambda: db.solar_data.count_documents({}) == rounds * count, 30)
    assert len(db.solar_data.distinct("device_id")) == count
    assert slowest < 10
    grown = (psutil.Process(command.process.pid).memory_info().rss - before) / 2**20
    record_property("memory_mib", grown)
    print(f"{count} gateways: slowest answer {slowest:.2f} s, {grown:.0f} MiB more")
