"""Connections of gateways, as badly as they behave: silent, doubled, mute, too many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psutil
import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.ingest.sources.gateway.source import REPLACED_ELSEWHERE
from plugins.solar import POLL
from tests.ingest.conftest import Document, wait_events
from tests.ingest.sources.gateway import VALUES, Connect, Gateway, Listen, readings
from tests.wait import busy, wait_until


def test_a_newer_connection_replaces_the_older(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    command = listen()
    older = connect()
    older.socket.sendall(older.answer(older.heartbeat()))
    newer = connect()
    newer.round(current_a=77.0)
    assert readings(db, 1)[0]["payload"]["current_a"] == 77.0
    wait_until(older.is_closed)
    wait_until(lambda: command.metric("greenpower_tcp_closed_total", reason="replaced") == 1)
    wait_events(db, 1, reason="unfinished-round")
    assert db.telemetry_events.count_documents({"reason": REPLACED_ELSEWHERE}) == 0


def test_a_gateway_that_another_address_replaces_is_noted(
    listen: Listen, connect: Connect, db: Database[Document]
) -> None:
    command = listen(log_format="json")
    older = connect()
    older.round()
    connect(address="127.0.0.2").round(current_a=77.0)
    wait_until(older.is_closed)
    wait_until(lambda: command.metric("greenpower_tcp_closed_total", reason=REPLACED_ELSEWHERE) == 1)
    [event] = wait_events(db, 1, reason=REPLACED_ELSEWHERE)
    assert (event["outcome"], event["type"], event["device_id"]) == ("noted", "solar", "GWCCCL0001")
    assert {"127.0.0.1", "127.0.0.2"} <= {*event["detail"].split()}
    wait_until(lambda: any(entry.get("reason") == REPLACED_ELSEWHERE for entry in command.entries()))


def test_silence_after_half_a_header_stops_nobody(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    listen()
    silent, good = connect(b"GWCCCL0002"), connect()
    silent.socket.sendall(silent.answer(silent.heartbeat())[:5])
    for _ in range(3):
        good.round()
    readings(db, 3)
    assert db.solar_data.count_documents({"device_id": "GWCCCL0002"}) == 0


def test_random_bytes_are_rejected_and_closed(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    command = listen()
    stranger = connect()
    stranger.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    wait_until(stranger.is_closed)
    [event] = wait_events(db, 1)
    assert (event["outcome"], event["reason"], event["type"]) == ("rejected", "not-registered", None)
    assert event["raw"].startswith("GET /")
    wait_until(lambda: command.metric("greenpower_frames_rejected_total", reason="not-registered") == 1)


def test_a_connection_that_says_nothing_is_closed(listen: Listen, connect: Connect) -> None:
    command = listen(tcp_registration_seconds=0.3)
    mute = connect()

    def registered() -> Gateway | None:
        gateway = connect()
        try:
            gateway.heartbeat()
        except (AssertionError, OSError):  # the machine stood still for longer than it may be silent
            return None
        return gateway

    named = wait_until(registered)
    assert named is not None
    wait_until(mute.is_closed)
    wait_until(lambda: command.metric("greenpower_tcp_closed_total", reason="nameless") >= 1)
    assert not named.is_closed()


def test_mute_connections_do_not_keep_a_gateway_out(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    command = listen(tcp_max_connections=20)
    gateway = connect()
    gateway.heartbeat()
    mute = [connect() for _ in range(40)]
    wait_until(mute[0].is_closed)
    late = connect(b"GWCCCL0003")
    late.round()
    readings(db, 1, "GWCCCL0003")
    assert not gateway.is_closed()
    assert command.metric("greenpower_tcp_connections") <= 20


def test_connections_of_one_address_may_be_limited(listen: Listen, connect: Connect) -> None:
    listen(tcp_max_per_address=2)
    first, second, third = connect(), connect(b"GWCCCL0002"), connect(b"GWCCCL0003")
    wait_until(third.is_closed)
    first.heartbeat()
    second.heartbeat()


@pytest.mark.slow
def test_two_thousand_gateways(
    listen: Listen, settings: Settings, db: Database[Document], record_property: Callable[[str, object], None]
) -> None:
    """None is starved: every gateway gets all its requests, each within 10 s of its heartbeat."""
    count, rounds, period = 2000, 2, 2.0
    command = listen(device_unconfirmed_max=0)
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
            request = await asyncio.wait_for(reader.readexactly(12), 60)
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
    assert slowest < 10 * busy()
    grown = (psutil.Process(command.process.pid).memory_info().rss - before) / 2**20
    record_property("memory_mib", grown)
    print(f"{count} gateways: slowest answer {slowest:.2f} s, {grown:.0f} MiB more")
