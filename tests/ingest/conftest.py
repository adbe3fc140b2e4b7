"""Fixtures for ingest's tests: ingest as a process, a publisher, and a look into its database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from tests.process import Command
from tests.wait import wait_until

Document = dict[str, Any]
Start = Callable[..., Command]


class Publisher:
    """A device that publishes with QoS 1 and knows what the broker took."""

    def __init__(self, host: str, port: int, client_id: str = "") -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(1000)
        self.client.connect(host, port)
        self.client.loop_start()
        self._sent: list[paho.MQTTMessageInfo] = []

    def send(self, topic: str, payload: str | bytes | Document, *, qos: int = 1, retain: bool = False) -> None:
        """Publish; an object goes as JSON."""
        body = json.dumps(payload) if isinstance(payload, dict) else payload
        self._sent.append(self.client.publish(topic, body, qos=qos, retain=retain))

    def flush(self, timeout: float = 30) -> None:
        """Wait until the broker has taken everything."""
        for info in self._sent:
            info.wait_for_publish(timeout)
            assert info.is_published()
        self._sent.clear()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def publisher(broker: tuple[str, int]) -> Iterator[Publisher]:
    """A publisher at the session's broker."""
    client = Publisher(*broker)
    yield client
    client.close()


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that a module's tests share, empty."""
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    """This test's database."""
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        yield client[settings.mongo_db_name]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start `greenpower ingest --mqtt`, and wait until it is healthy."""
    with ExitStack() as stack:

        def go(using: Settings = settings, *, healthy: bool = True) -> Command:
            command = stack.enter_context(Command(using, "ingest", "--mqtt", folder=tmp_path))
            return command.wait_healthy() if healthy else command

        yield go


def stamp(time: datetime, zone: str = "Asia/Dhaka") -> str:
    """A COMPERE stamp for a time."""
    return time.astimezone(ZoneInfo(zone)).strftime("%Y%m%d%H%M%S")


def frame(device: str = "33B1225950027", time: datetime | None = None, **values: Any) -> Document:
    """An rt frame as a KPM33B sends it."""
    body = {"ua": 229.097, "ub": 231.567, "uc": 232.529, "zyggl": 6.6905, "qa": -0.1648, "f": 49.959}
    return {"id": device, **body, **values, "time": stamp(time or datetime.now(UTC)), "isend": "1"}


def wait_events(db: Database[Document], count: int, timeout: float = 20, **query: Any) -> list[Document]:
    """Wait for so many events, and return them."""
    wait_until(lambda: db.telemetry_events.count_documents(query) >= count, timeout)
    return list(db.telemetry_events.find(query).sort("received_at"))
