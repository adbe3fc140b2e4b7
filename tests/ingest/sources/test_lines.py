"""Frames as lines of JSON over TCP."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document, frame
from tests.process import Command

NOW = datetime.now(UTC).replace(microsecond=0)


class Lines:
    """A client of the lines port."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(60)
        self.file = self.socket.makefile("rb")

    def say(self, line: str | bytes) -> None:
        self.socket.sendall((line.encode() if isinstance(line, str) else line) + b"\n")

    def ask(self, line: str | bytes) -> str:
        self.say(line)
        return self.answer()

    def answer(self) -> str:
        return self.file.readline().decode().rstrip("\n")

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def lines(settings: Settings, tmp_path: Path) -> Iterator[Lines]:
    """A connection to `greenpower ingest --tcp`, nothing said yet."""
    using = Settings.model_validate(
        {**settings.model_dump(), "tcp_lines_port": free_port(), "tcp_lines_token": "open sesame"}
    )
    with Command(using, "ingest", "--tcp", folder=tmp_path) as command:
        command.wait_healthy()
        command.wait_listening(using.tcp_port, using.tcp_lines_port)
        client = Lines(using.tcp_lines_port)
        yield client
        client.close()


def line(topic: str, payload: object) -> str:
    return json.dumps({"topic": topic, "payload": payload})


def test_ok_means_stored(lines: Lines, db: Database[Document]) -> None:
    assert lines.ask("open sesame") == "ok"
    assert lines.ask(line("MQTT_RT_DATA", frame(time=NOW))) == "ok"
    assert db.grid_rt_data.count_documents({"timestamp": NOW}) == 1
    assert db.telemetry_events.count_documents({"outcome": "stored"}) == 1
    assert lines.ask(line("MQTT_RT_DATA", json.dumps(frame(time=NOW)))) == "ok"
    assert db.telemetry_events.count_documents({"outcome": "duplicate"}) == 1


def test_a_wrong_token_closes(lines: Lines, db: Database[Document]) -> None:
    lines.say("open barley")
    assert lines.answer() == "error token"
    assert lines.answer() == ""
    assert db.telemetry_events.count_documents({}) == 0


WRONG: list[tuple[str | bytes, str]] = [
    (line("nonsense/topic", {"id": "x"}), "error unclaimed-topic"),
    ("not json", "error not-json"),
    ("[1]", "error not-object"),
    ('{"payload": {}}', "error no-topic"),
    (line("MQTT_RT_DATA", {"ua": 1}), "error no-id"),
    (line("MQTT_RT_DATA", {"id": "x", "ua": "?"}), "error no-values"),
    ('{"topic":"MQTT_RT_DATA","payload":{"id":"x","ua":1,"ua":2}}', "error duplicate-keys"),
    (b'{"topic":"MQTT_RT_DATA","payload":"\xff"}', "error not-utf8"),
    (line("MQTT_RT_DATA", {"id": "x", "pad": "y" * 300_000}), "error too-large"),
    (line("MQTT_RT_DATA", {"id": "x", "pad": "y" * 3_000_000}), "error too-large"),
]


def test_what_is_wrong_is_said_and_the_next_line_is_stored(lines: Lines, db: Database[Document]) -> None:
    assert lines.ask("open sesame") == "ok"
    for index, (sent, answer) in enumerate(WRONG):
        assert lines.ask(sent) == answer
        assert lines.ask(line("MQTT_RT_DATA", frame(time=NOW - timedelta(seconds=index)))) == "ok"
    assert db.telemetry_events.count_documents({"outcome": "rejected"}) == len(WRONG)
    assert db.grid_rt_data.count_documents({}) == len(WRONG)


def test_lines_sent_ahead_are_answered_in_order(lines: Lines, db: Database[Document]) -> None:
    sent = ["open sesame"]
    sent += [line("MQTT_RT_DATA" if n % 10 else "nonsense", frame(time=NOW - timedelta(seconds=n))) for n in range(500)]
    lines.socket.sendall("\n".join(sent).encode() + b"\n")
    answers = [lines.answer() for _ in range(501)]
    assert answers[1:] == ["ok" if n % 10 else "error unclaimed-topic" for n in range(500)]
    assert db.grid_rt_data.count_documents({}) == 450
