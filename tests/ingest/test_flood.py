"""Everything bad that the protocol notes list, at rate, by MQTT, as lines and at the gateways' port, while meters, a
lines client and a gateway go on as ever: what is good is stored and soon, what is bad is counted.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document, Publisher, frame
from tests.ingest.sources.gateway import HEARTBEAT, Gateway
from tests.ingest.sources.test_lines import Lines, line
from tests.ingest.test_bad_input import REJECTED
from tests.process import Command
from tests.wait import busy, wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
SECONDS = 5.0
METERS = [f"33B00000000{number:02}" for number in range(20)]
TOKEN = "open sesame"
# As a whole each round would be nothing but these.
SELDOM = {"5 MB", "100 000 keys", "100 000 levels", "many keys"}
OFTEN = [payload for name, (payload, _) in REJECTED.items() if name not in SELDOM]
REASONS = set().union(*(reasons for _, reasons in REJECTED.values()))
SILENT, HALF, NOISE = b"", b"GWCCCL9%03d\x01\x26\x00", b"\x00\xff\x13"
# A good frame waits for its batch, its writes and, here, for what is bad before it.
SOON, LATEST = 2.0, 10.0


@contextmanager
def going(*work: Callable[[], None]) -> Iterator[None]:
    """Run all of them, each again and again, in threads of their own, until the block ends. Fails where one failed."""
    ending = threading.Event()
    failed: list[BaseException] = []

    def repeat(one: Callable[[], None]) -> None:
        try:
            while not ending.is_set():
                one()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert not failed, failed


class Good:
    """What goes on as ever. `sent`: readings by collection; `waited`: seconds until a line was answered."""

    def __init__(self, settings: Settings) -> None:
        self.sent: Counter[str] = Counter()
        self.waited: list[float] = []
        self.publisher = Publisher(settings.mqtt_broker, settings.mqtt_port)
        self.lines = Lines(settings.tcp_lines_port)
        assert self.lines.ask(TOKEN) == "ok"
        self.gateway = Gateway(settings.tcp_port)
        self.lines.socket.settimeout(60)
        self.gateway.socket.settimeout(60)

    def _frame(self) -> Document:
        self.sent["grid_rt_data"] += 1
        number = self.sent["grid_rt_data"]
        return frame(METERS[number % len(METERS)], NOW - timedelta(seconds=number // len(METERS)))

    def meters(self) -> None:
        for _ in range(5):
            self.publisher.send("MQTT_RT_DATA", self._frame())
            self.sent["published"] += 1
        time.sleep(0.05)

    def line(self) -> None:
        self.sent["lines"] += 1
        body = frame("33B1111111111", NOW - timedelta(seconds=self.sent["lines"]))
        began = time.monotonic()
        assert self.lines.ask(line("MQTT_RT_DATA", body)) == "ok"
        self.waited.append(time.monotonic() - began)
        time.sleep(0.05)

    def rounds(self) -> None:
        self.gateway.round()
        self.sent["solar_data"] += 1
        time.sleep(0.2)

    def close(self) -> None:
        self.publisher.close()
        self.lines.close()
        self.gateway.close()


class Bad:
    """What does not. `sent`: frames by the way they came; `connections`: to the gateways' port."""

    def __init__(self, settings: Settings) -> None:
        self.sent: Counter[str] = Counter()
        self.port = settings.tcp_port
        self.publisher = Publisher(settings.mqtt_broker, settings.mqtt_port)
        self.lines = Lines(settings.tcp_lines_port)
        assert self.lines.ask(TOKEN) == "ok"
        self.lines.socket.settimeout(60)
        self.connections: list[socket.socket] = []
        self._often = cycle(OFTEN)
        self._said = cycle((b"{", b"\xff\xfe", line("no/such/topic", 1).encode(), line("MQTT_RT_DATA", "[]").encode()))

    def frames(self) -> None:
        for _ in range(20):
            self.publisher.send("MQTT_RT_DATA", next(self._often))
            self.sent["mqtt"] += 1
        time.sleep(0.05)

    def giants(self) -> None:
        for name in SELDOM:
            self.publisher.send("MQTT_RT_DATA", REJECTED[name][0])
            self.sent["mqtt"] += 1
        time.sleep(1)

    def say(self) -> None:
        for _ in range(20):
            self.lines.say(next(self._said))
        assert all(self.lines.answer().startswith("error ") for _ in range(20))
        self.sent["lines"] += 20

    def dial(self) -> None:
        """Gateways that say nothing, half a header, or noise."""
        for _ in range(10):
            for said in (SILENT, HALF % random.randrange(1000), NOISE + os.urandom(30)):
                with suppress(OSError):
                    connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
                    self.connections.append(connection)
                    connection.sendall(said)
        time.sleep(0.1)

    def close(self) -> None:
        self.publisher.close()
        self.lines.close()
        for connection in self.connections:
            connection.close()


@pytest.mark.slow
def test_bad_input_at_rate_harms_nobody_else(settings: Settings, db: Database[Document], tmp_path: Path) -> None:
    using = Settings.model_validate(
        {
            **settings.model_dump(),
            "tcp_lines_port": free_port(),
            "tcp_lines_token": TOKEN,
            "tcp_registration_seconds": 1.0,
        }
    )
    with Command(using, "ingest", "--mqtt", "--tcp", folder=tmp_path) as command:
        command.wait_healthy()
        command.wait_listening(using.tcp_port, using.tcp_lines_port)
        good, bad = Good(using), Bad(using)
        try:
            with going(good.meters, good.line, good.rounds, bad.frames, bad.giants, bad.say, bad.dial):
                time.sleep(SECONDS)
            good.publisher.flush(60)
            bad.publisher.flush(60)
            readings = good.sent["grid_rt_data"] + good.sent["lines"]
            wait_until(lambda: db.grid_rt_data.count_documents({}) == readings, 60)
            wait_until(lambda: db.solar_data.count_documents({}) == good.sent["solar_data"], 20)
            rejected = {"outcome": "rejected", "topic": {"$ne": "tcp"}}
            wait_until(lambda: db.telemetry_events.count_documents(rejected) == bad.sent.total(), 60)
            assert db.grid_rt_data.distinct("device_id") == sorted([*METERS, "33B1111111111"])
            assert db.solar_data.distinct("device_id") == [HEARTBEAT.decode()]
        finally:
            good.close()
            bad.close()
        assert bad.sent["mqtt"] > good.sent["published"] and len(bad.connections) > 100
        waited = sorted(good.waited)
        assert waited[len(waited) // 2] < SOON * busy() and waited[-1] < LATEST * busy(), waited[-5:]

        # The books: what is counted is what is on record, by outcome and by reason.
        wait_until(lambda: command.metric("greenpower_tcp_connections") == 0, 20)
        wait_until(lambda: command.metric("greenpower_frames_pending") == 0)
        events = Counter((event["outcome"], event.get("reason", "")) for event in db.telemetry_events.find())
        wait_until(lambda: command.metric("greenpower_frames_received_total") == events.total())
        for outcome in ("stored", "duplicate", "rejected", "noted"):
            there = sum(count for (name, _), count in events.items() if name == outcome)
            assert command.metric("greenpower_frames_total", outcome=outcome) == there, outcome
        assert events["stored", ""] == readings + good.sent["solar_data"]
        by_reason = {reason: count for (name, reason), count in events.items() if name == "rejected"}
        for reason, count in by_reason.items():
            assert command.metric("greenpower_frames_rejected_total", reason=reason) == count, reason
        assert set(by_reason) >= REASONS | {"unclaimed-topic"}
        wait_until(lambda: command.metric("greenpower_tcp_closed_total") == len(bad.connections) + 3)
        assert command.metric("greenpower_frames_overflow_total") == 0
        assert command.health()["status"] == "ok" and "Traceback" not in command.log.read_text()
        assert command.stop() == 0
