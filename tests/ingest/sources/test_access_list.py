"""The broker's access list that is made from the registry, in a real broker with passwords."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr
from pymongo.database import Database

from greenpower.catalog.registry import Registry, load_registry
from greenpower.cli.atomic_file import write_whole
from greenpower.cli.init import init_sql
from greenpower.cli.sql import sql_database
from greenpower.config import Settings
from greenpower.control.publish import visit
from greenpower.datatype import Message, Mqtt
from greenpower.ingest.sources.mqtt.access_list import access_list
from greenpower.sql import Device
from greenpower.sql.device import DeviceType
from greenpower.sql.extensions import db as sql
from greenpower.stack import Mosquitto
from greenpower.stack.ingest_pool import NO_SESSION
from greenpower.stack.mosquitto import CONNECT
from tests.command import run_cli
from tests.ingest.conftest import Document, Start, frame, wait_events
from tests.process import Command
from tests.wait import wait_until

METER, STATION, SITE_STATION = "33B1225950027", "STATION_2", "CCCL_ENVIRONMENT_DEVICE_1"
DEVICES = {
    METER: ("rt", "eny_now"),
    STATION: ("environment",),
    SITE_STATION: ("environment",),
    "GWCCCL0001": ("solar",),
}
OUR_USER = "greenpower"
TOLD = f"MQTT_SETTIME_{METER[-8:]}"


def secret(user: str) -> str:
    return f"password of {user}"


def password_line(user: str) -> str:
    """As mosquitto_passwd writes it: PBKDF2, SHA-512, 101 rounds."""
    salt = os.urandom(12)
    made = hashlib.pbkdf2_hmac("sha512", secret(user).encode(), salt, 101)
    return f"{user}:$7$101${b64encode(salt).decode()}${b64encode(made).decode()}\n"


class Closed(Mosquitto):
    """A broker that refuses who has no password; it answers when it refuses."""

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(CONNECT)
                return bool(connection.recv(4))
        except OSError:
            return False


class Client:
    """A client of a user, MQTT 5: what the broker says to what it publishes, and what it hears."""

    def __init__(self, broker: Mosquitto, user: str, *topics: str) -> None:
        self.heard: list[str] = []
        self.said: dict[int, str] = {}
        self.subscribed = not topics
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.username_pw_set(user, secret(user))
        self.client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        self.client.on_publish = lambda _c, _d, mid, reason, _p: self.said.update({mid: str(reason)})
        self.client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        wait_until(self.client.is_connected)
        for topic in topics:
            self.client.subscribe(topic, qos=1)
        wait_until(lambda: self.subscribed)

    def publish(self, topic: str, payload: str) -> str:
        """What the broker says."""
        mid = self.client.publish(topic, payload, qos=1).mid
        return wait_until(lambda: self.said.get(mid, ""))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def ours(settings: Settings) -> Settings:
    """Settings with a registry of `DEVICES` and our own account."""
    init_sql(settings)
    with sql_database(settings):
        for device_id, types in DEVICES.items():
            sql.session.add(Device(device_id=device_id, types=[DeviceType(type=name) for name in types]))
        sql.session.commit()
    return settings.model_copy(
        update={"mqtt_username": OUR_USER, "mqtt_password": SecretStr(secret(OUR_USER)), "mqtt_shared": True}
    )


@pytest.fixture
def closed(ours: Settings, tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with the list that the command writes, and a password for everybody."""
    acl, passwords = tmp_path / "acl", tmp_path / "passwords"
    with Command(ours, "mqtt", "acl", "--output", str(acl), folder=tmp_path) as command:
        assert command.process.wait(60) == 0, command.log.read_text()
    passwords.write_text("".join(password_line(user) for user in (OUR_USER, "stranger", *DEVICES)))
    for path in (acl, passwords):
        path.chmod(0o600)
    options = {"allow_anonymous": "false", "password_file": str(passwords), "acl_file": str(acl)}
    with Closed(tmp_path / "closed", options=options) as part:
        yield part


@pytest.mark.slow
def test_each_may_say_what_is_its_own_and_hear_what_is_for_it(
    start: Start, ours: Settings, closed: Mosquitto, db: Database[Document], tmp_path: Path
) -> None:
    ours = ours.model_copy(update={"mqtt_broker": closed.host, "mqtt_port": closed.port})
    command = start(ours)
    # Mosquitto grants a subscription to all that there is, and delivers what the list allows.
    meter = Client(closed, METER, "#", "$SYS/#")
    station, site_station, stranger = (Client(closed, name, "#") for name in (STATION, SITE_STATION, "stranger"))
    try:
        assert meter.publish("MQTT_RT_DATA", json.dumps(frame(METER))) == "Success"
        environment = "CCCL/PURBACHAL/ENV_01"
        assert site_station.publish(environment, '{"pm2_5(ug/m3)": 12.5}') == "Success"
        wait_events(db, 2, outcome="stored")
        for client, topic in (
            (meter, environment),
            (meter, TOLD),
            (station, environment),  # the site gave this topic to the other one
            (station, "MQTT_RT_DATA"),
            (stranger, "MQTT_RT_DATA"),
        ):
            assert client.publish(topic, json.dumps(frame("33B0000000001"))) == "Not authorized", topic
        # We command; only the one who is meant hears it, and nobody hears what others measure.
        with visit(ours) as broker:
            assert broker.publish(Message(topic=TOLD, payload=b"{}"), 60)
        wait_until(lambda: meter.heard == [TOLD])
        assert [client.heard for client in (station, site_station, stranger)] == [[], [], []]
        assert command.health()["status"] == "ok"
        assert db.telemetry_events.count_documents({}) == 2
    finally:
        for client in (meter, station, site_station, stranger):
            client.close()
    assert command.stop() == 0
    # Our account may also drain.
    with Command(ours, "mqtt", "drain", ours.mqtt_client_id, folder=tmp_path) as draining:
        assert draining.process.wait(60) == 0, draining.log.read_text()
    with Command(ours, "mqtt", "drain", ours.mqtt_client_id, folder=tmp_path) as draining:
        assert draining.process.wait(60) == NO_SESSION


def test_nobody_gets_in_without_a_password(closed: Mosquitto) -> None:
    for user, password in ((None, None), (METER, "another")):
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        refused: list[str] = []
        client.on_connect = lambda _c, _d, _f, reason, _p, refused=refused: refused.append(str(reason))
        client.username_pw_set(user, password)
        client.connect(closed.host, closed.port)
        client.loop_start()
        wait_until(lambda refused=refused: refused)  # type: ignore[misc]
        client.loop_stop()
        assert refused[0] == "Not authorized"


def test_a_list_that_is_made_again_is_as_private_as_before(
    ours: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acl = tmp_path / "acl"
    write = ("mqtt", "acl", "--output", str(acl))
    assert run_cli(monkeypatch, tmp_path, *write, settings=ours) == 0
    text = acl.read_text("utf-8")
    acl.write_text("old")
    acl.chmod(0o640)
    assert run_cli(monkeypatch, tmp_path, *write, settings=ours) == 0
    assert acl.read_text("utf-8") == text and f"user {METER}" in text
    assert acl.stat().st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".acl*"))


def test_what_cannot_be_written_whole_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # as on a full disk
    try:
        with pytest.raises(OSError) as caught:
            write_whole(acl, "x" * 100_000)
        assert caught.value.errno == errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert acl.read_text() == "old"
    write_whole(acl, "new")
    assert acl.read_text() == "new"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(None)


def block(text: str, user: str) -> list[str]:
    """The lines of a user."""
    [found] = [lines for part in text.split("\n\n") if (lines := part.splitlines())[0] == f"user {user}"]
    return found[1:]


def test_a_device_has_the_topics_of_its_types_and_the_commands_to_it(registry: Registry) -> None:
    text = access_list(DEVICES, registry, OUR_USER)
    lines = block(text, METER)
    assert {"topic write MQTT_RT_DATA", "topic write MQTT_ENY_NOW", "topic write MQTT_METER_TIME_REP"} <= set(lines)
    assert {line for line in lines if " read " in line} >= {f"topic read {TOLD}"}
    assert all(line.startswith("topic write ") or line.endswith(METER[-8:]) for line in lines)
    own = block(text, OUR_USER)
    assert f"topic write {TOLD}" in own and "topic read MQTT_RT_DATA" in own
    assert "topic read $SYS/broker/publish/messages/dropped" in own
    assert not any(line.startswith("topic readwrite") and "drain" not in line for line in own)


def test_who_cannot_be_let_in_is_named_with_the_reason(registry: Registry) -> None:
    devices = {"GWCCCL0001": ["solar"], "new": [], "a:b": ["rt"], OUR_USER: ["rt"], "gone type": ["no_such_type"]}
    text = access_list(devices, registry, OUR_USER)
    assert text.count("\nuser ") == 1
    for device_id, reason in (
        ("GWCCCL0001", "none of its data types comes over MQTT"),
        ("new", "none of its data types comes over MQTT"),
        ("gone type", "none of its data types comes over MQTT"),
        ("a:b", "no broker's user can have this name"),
        (OUR_USER, "its id is our own user's name"),
    ):
        assert f"# {device_id}: {reason}\n" in text


def test_a_level_of_the_topic_that_names_the_device_is_its_own(registry: Registry) -> None:
    leveled = replace(registry["rt"], match=(Mqtt("site/+/data", device_level=1),), commands=())
    text = access_list({"one": ["rt"], "a/b": ["rt"], "+": ["rt"]}, Registry.of(leveled), OUR_USER)
    assert block(text, "one") == ["topic write site/one/data"]
    assert block(text, "a/b") == block(text, "+") == []
    assert "topic read site/+/data" in block(text, OUR_USER)


def test_without_our_own_name_there_is_no_list(settings: Settings, tmp_path: Path) -> None:
    with Command(settings, "mqtt", "acl", folder=tmp_path) as command:
        assert command.process.wait(60) == 2
        assert "MQTT_USERNAME" in command.log.read_text() and "Traceback" not in command.log.read_text()
