"""Connections that wait because MongoDB is silent: nobody is blamed for it, and every acknowledgement comes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.ingest.sources.gateway.connection import MAX_UNSETTLED_FRAMES
from greenpower.stack import Mongod
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document, frame
from tests.ingest.sources.test_lines import Lines, line
from tests.process import Command
from tests.wait import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
IDLE_SECONDS = 2.0
TOKEN = "open sesame"


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod to be stopped."""
    with Mongod(tmp_path / "mongod") as part:
        yield part
        part.resume()


@pytest.fixture
def own_db(own_mongod: Mongod, settings: Settings) -> Iterator[Database[Document]]:
    """This test's database on that mongod."""
    with MongoClient[Document](own_mongod.uri, tz_aware=True) as client:
        yield client[settings.mongo_db_name]


@pytest.fixture
def using(settings: Settings, own_mongod: Mongod) -> Settings:
    """Settings for lines of JSON whose senders may be silent for a moment only."""
    return Settings.model_validate(
        {
            **settings.model_dump(),
            "mongo_db_uri": own_mongod.uri,
            "tcp_lines_port": free_port(),
            "tcp_lines_token": TOKEN,
            "tcp_idle_seconds": IDLE_SECONDS,
        }
    )


@pytest.fixture
def ingest(using: Settings, tmp_path: Path) -> Iterator[Command]:
    """`greenpower ingest --tcp`."""
    with Command(using, "ingest", "--tcp", folder=tmp_path) as command:
        command.wait_healthy()
        command.wait_listening(using.tcp_port, using.tcp_lines_port)
        yield command


@contextmanager
def away(mongod: Mongod, command: Command, *, pending: int = 1) -> Iterator[None]:
    """MongoDB answers nothing for longer than a sender may be silent, from when so many frames wait for it."""
    mongod.pause()
    try:
        yield
        wait_until(lambda: command.metric("greenpower_frames_pending") >= pending)
        time.sleep(1.5 * IDLE_SECONDS)  # the time that must not be counted
    finally:
        mongod.resume()


def lines_of(count: int) -> str:
    return "".join(line("MQTT_RT_DATA", frame(time=NOW - timedelta(seconds=n))) + "\n" for n in range(count))


def closed(command: Command) -> dict[str, float]:
    """Connections that ended, by reason."""
    reasons = ("ended", "lost", "silent", "unread", "failed", "stopping")
    return {
        reason: count for reason in reasons if (count := command.metric("greenpower_tcp_closed_total", reason=reason))
    }


def connection(using: Settings) -> Lines:
    """A sender that has said its token."""
    client = Lines(using.tcp_lines_port)
    assert client.ask(TOKEN) == "ok"
    return client


@pytest.mark.parametrize("count", [1, 3000], ids=["one line", "more lines than may be unanswered"])
def test_a_lines_sender_that_waits_for_its_answers_gets_them(
    using: Settings, own_mongod: Mongod, ingest: Command, own_db: Database[Document], count: int
) -> None:
    sender = connection(using)
    sender.socket.settimeout(60)
    with away(own_mongod, ingest):
        sender.socket.sendall(lines_of(count).encode())
    assert [sender.answer() for _ in range(count)] == ["ok"] * count
    assert sender.ask(line("MQTT_RT_DATA", frame(time=NOW + timedelta(seconds=1)))) == "ok", "the connection goes on"
    assert own_db.grid_rt_data.count_documents({}) == count + 1
    sender.close()


def test_a_lines_sender_that_has_said_all_gets_its_answers(
    using: Settings, own_mongod: Mongod, ingest: Command
) -> None:
    sender = connection(using)
    sender.socket.settimeout(60)
    with away(own_mongod, ingest):
        sender.socket.sendall(lines_of(20).encode())
        sender.socket.shutdown(socket.SHUT_WR)
    assert [sender.answer() for _ in range(21)] == ["ok"] * 20 + [""]
    wait_until(lambda: closed(ingest) == {"ended": 1})
    sender.close()


def test_a_lines_sender_that_is_silent_is_closed_once_it_has_its_answers(
    using: Settings, own_mongod: Mongod, ingest: Command
) -> None:
    sender = connection(using)
    with away(own_mongod, ingest):
        sender.socket.sendall(lines_of(2).encode())
    assert [sender.answer() for _ in range(3)] == ["ok", "ok", ""]
    wait_until(lambda: closed(ingest) == {"silent": 1})
    sender.close()


def test_a_lines_sender_that_reads_no_answers_is_closed(using: Settings, ingest: Command) -> None:
    """What it keeps waiting is us: neither lines nor answers may pile up behind it."""
    sender = connection(using)
    sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sender.socket.settimeout(0.2)
    bad = (json.dumps({"topic": "x"}) + "\n").encode() * 1000
    try:
        for _ in range(3000):
            sender.socket.sendall(bad)
    except (TimeoutError, OSError):
        pass
    wait_until(lambda: closed(ingest).get("unread") == 1, 30)
    wait_until(lambda: ingest.metric("greenpower_tcp_connections") == 0)
    sender.close()


def test_a_lines_sender_that_is_gone_gives_its_place_back_at_once(
    using: Settings, own_mongod: Mongod, ingest: Command
) -> None:
    sender = connection(using)
    own_mongod.pause()
    try:
        sender.socket.sendall(lines_of(3000).encode())
        wait_until(lambda: ingest.metric("greenpower_frames_pending") > 0)
        assert ingest.metric("greenpower_tcp_connections") == 1
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sender.close()
    finally:
        own_mongod.resume()
    wait_until(lambda: ingest.metric("greenpower_tcp_connections") == 0, IDLE_SECONDS * 4)


SITE = f"""
[types.solar.modbus]
timeout = {IDLE_SECONDS}
silence = {2 * IDLE_SECONDS}
[[types.solar.modbus.blocks]]
register = 3000
layout = "float32"
fields = ["current_a"]
"""
GATEWAY = b"GWCCCL0001"
ANSWER = bytes.fromhex("00 01 00 00 00 07 01 03 04 41 20 00 00")


@pytest.mark.parametrize("meanwhile", [True, False], ids=["sends meanwhile", "waits too"])
def test_a_gateway_that_waits_for_mongodb_is_neither_silent_nor_late(
    using: Settings, own_mongod: Mongod, own_db: Database[Document], tmp_path: Path, meanwhile: bool
) -> None:
    """We do not read, for longer than it may be silent and than an answer may take."""
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    using = using.model_copy(update={"greenpower_site": site})
    with Command(using, "ingest", "--tcp", folder=tmp_path) as command:
        command.wait_healthy()
        command.wait_listening(using.tcp_port, using.tcp_lines_port)
        with socket.create_connection(("127.0.0.1", using.tcp_port), timeout=60) as gateway:
            gateway.sendall(GATEWAY)
            assert len(gateway.recv(12)) == 12
            with away(own_mongod, command, pending=MAX_UNSETTLED_FRAMES):
                for _ in range(MAX_UNSETTLED_FRAMES):
                    gateway.sendall(ANSWER + GATEWAY)
                    assert len(gateway.recv(12)) == 12
                if meanwhile:
                    gateway.sendall(ANSWER + GATEWAY)
            if not meanwhile:
                wait_until(lambda: command.metric("greenpower_frames_pending") == 0)
                gateway.sendall(ANSWER + GATEWAY)
            assert len(gateway.recv(12)) == 12, "the connection goes on"
            wait_until(lambda: own_db.solar_data.count_documents({}) == MAX_UNSETTLED_FRAMES + 1)
            assert own_db.telemetry_events.distinct("outcome") == ["stored"]
            assert closed(command) == {}
            assert command.metric("greenpower_tcp_connections") == 1
            # It is we who wait now: its own silence counts again.
            wait_until(lambda: closed(command) == {"silent": 1})
        wait_until(lambda: command.metric("greenpower_tcp_connections") == 0)
