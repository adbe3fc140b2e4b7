"""Fixtures of the tests of commands: all parts but the worker, whose passes a test makes itself, and meters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from random import randrange
from typing import Any
from uuid import uuid4

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr
from pymongo import MongoClient
from sqlalchemy import select, update

from greenpower.app import create_app
from greenpower.catalog.registry import Registry, load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import Message
from greenpower.jobs.commands import one_pass
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ANSWERS
from greenpower.sql import Device, DeviceCommand, DeviceStatus, DeviceType
from greenpower.sql.extensions import db
from greenpower.sql.session import sql_session
from greenpower.sql.time import now
from greenpower.stack import Mongod, Mosquitto, Valkey
from greenpower.stack.port import free_port
from tests.api.conftest import KEY, close_app
from tests.api.world import SqlApi
from tests.process import Command
from tests.wait import wait_until

DONE = ["queued", "sent", "answered", "done"]
Obey = Callable[[str, dict[str, str], Message], tuple[Message, ...]]


class Meter:
    """A meter on the broker: says what `obey` says, and keeps what it was told."""

    def __init__(self, device_id: str, topics: tuple[str, ...], obey: Obey, broker: tuple[str, int]) -> None:
        self.told: list[Message] = []
        self.memory: dict[str, str] = {}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        subscribed: list[int] = []

        def on_message(client: paho.Client, _data: Any, heard: paho.MQTTMessage) -> None:
            message = Message(topic=heard.topic, payload=bytes(heard.payload))
            self.told.append(message)
            for answer in obey(device_id, self.memory, message):
                client.publish(answer.topic, answer.payload, qos=1)

        self.client.on_message = on_message
        self.client.on_subscribe = lambda *_: subscribed.append(1)
        self.client.connect(*broker)
        self.client.loop_start()
        self.client.subscribe([(topic, 1) for topic in topics])
        wait_until(lambda: subscribed)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class World:
    """The API, ingest, and what the worker does, on real servers."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.ingest = Command(settings, "ingest", "--mqtt", folder=folder)
        self.registry: Registry = load_registry(None)
        init_sql(settings)
        self.app = create_app(settings, self.registry)
        self.api = SqlApi(self.app, settings)
        self.mongo = MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True)
        self.db = self.mongo[settings.mongo_db_name]

    @contextmanager
    def without_ingest(self) -> Iterator[None]:
        """Kill ingest; afterwards there is another."""
        self.ingest.kill()
        yield
        self.ingest = Command(self.settings, "ingest", "--mqtt", folder=self.folder)
        self.ingest.wait_healthy()

    def close(self) -> None:
        self.ingest.end()
        close_app(self.app)
        self.mongo.drop_database(self.settings.mongo_db_name)
        self.mongo.close()

    @property
    def obey(self) -> Obey:
        """What a simulated meter does."""
        simulated_response = self.registry["rt"].simulated_response
        assert simulated_response is not None
        return simulated_response.obey

    def device(self, *types: str, status: DeviceStatus = DeviceStatus.ONLINE) -> tuple[int, str]:
        """A registered device: its number and its id on the wire."""
        name = f"33B12{randrange(10**8):08}"
        with self.app.app_context():
            row = Device(
                device_id=name, status=status.value, types=[DeviceType(type=kind) for kind in types or ("rt",)]
            )
            db.session.add(row)
            db.session.commit()
            return row.id, name

    def meter(self, device_id: str, obey: Obey | None = None) -> Meter:
        """A meter that listens. Close it."""
        simulated_response = self.registry["rt"].simulated_response
        assert simulated_response is not None
        broker = (self.settings.mqtt_broker, self.settings.mqtt_port)
        return Meter(device_id, simulated_response.topics(device_id), obey or simulated_response.obey, broker)

    def give(self, number: int, command: str, code: int = 201, token: str | None = None, **parameters: Any) -> Any:
        """Give a command over the API."""
        body = {"command": command, "parameters": parameters}
        return self.api.good("POST", f"/api/devices/{number}/commands/", body, code=code, token=token)

    def switch(self, number: int, *, on: bool) -> Any:
        """Ask for a relay and confirm it: the command that is given then."""
        asked = self.give(number, "relay", 202, on=on)
        body = {"command": "relay", "parameters": {"on": on}, "confirmation": asked["confirmation"]}
        return self.api.good("POST", f"/api/devices/{number}/commands/", body, code=201)

    def work(self, settings: Settings | None = None, registry: Registry | None = None) -> int:
        """A pass of the worker."""
        with sql_session(self.settings) as session:
            return one_pass(session, self.db[ANSWERS], registry or self.registry, settings or self.settings)

    def show(self, number: int, command_id: int) -> dict[str, Any]:
        """A command, over the API."""
        found: dict[str, Any] = self.api.good("GET", f"/api/devices/{number}/commands/{command_id}/")
        return found

    def until(self, number: int, command_id: int, *states: str, work: bool = True) -> dict[str, Any]:
        """Wait until a command is in one of some states."""

        def reached() -> dict[str, Any] | None:
            if work:
                self.work()
            found = self.show(number, command_id)
            return found if found["state"] in states else None

        found = wait_until(reached, 30, every=0.05)
        assert found is not None
        return found

    def kept(self, device_id: str) -> list[Document]:
        """The answers of a device that ingest has kept."""
        return list(self.db[ANSWERS].find({"device_id": device_id}))

    def column(self, command_id: int, name: str) -> Any:
        """A column of a command's row."""
        with self.app.app_context():
            return db.session.scalar(select(getattr(DeviceCommand, name)).where(DeviceCommand.id == command_id))

    def overdue(self, command_id: int) -> None:
        """Let the time of a command be over."""
        self._set(command_id, expires_at=now())

    def claim(self, command_id: int, at: datetime) -> None:
        """A worker took it in hand then."""
        self._set(command_id, claimed_at=at)

    def _set(self, command_id: int, **values: Any) -> None:
        with self.app.app_context():
            db.session.execute(update(DeviceCommand).where(DeviceCommand.id == command_id).values(**values))
            db.session.commit()


def states(found: dict[str, Any]) -> list[str]:
    """The states that a command went through."""
    return [step["state"] for step in found["steps"]]


@pytest.fixture(scope="package")
def world(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[World]:
    """One for all tests of commands; each has devices of its own."""
    folder = tmp_path_factory.mktemp("downlink")
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=folder,
        jwt_signing_key=SecretStr(KEY),
        secret_key=SecretStr("s" * 40),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name=f"test_{uuid4().hex[:12]}",
        redis_url=SecretStr(valkey.url),
        mqtt_broker=mosquitto.host,
        mqtt_port=mosquitto.port,
        mqtt_client_id=f"test-{uuid4().hex[:12]}",
        ingest_http_port=free_port(),
        api_rate_limit="",
        downlink_interlocked="*",
    )
    world = World(settings, folder)
    with closing(world):
        world.ingest.wait_healthy()
        yield world
