"""`greenpower simulate` against a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.stack import Mosquitto
from tests.process import Command
from tests.wait import wait_until


@pytest.fixture
def settings(broker: tuple[str, int], tmp_path: Path) -> Settings:
    """Settings with a broker and nothing else: simulated devices need no more."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        mqtt_broker=broker[0],
        mqtt_port=broker[1],
        log_format="json",
    )


@contextmanager
def listening(host: str, port: int) -> Iterator[list[MQTTMessage]]:
    """All messages on the topic of `rt` meanwhile; connects again when the broker comes back."""
    heard: list[MQTTMessage] = []
    ready: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda client, data, message: heard.append(message)
    client.on_connect = lambda client, *rest: client.subscribe("MQTT_RT_DATA", qos=1)
    client.on_subscribe = lambda *rest: ready.append(True)
    client.reconnect_delay_set(1, 1)
    client.connect(host, port)
    client.loop_start()
    try:
        wait_until(lambda: ready)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def totals(command: Command) -> dict[str, int]:
    """What the last line counts."""
    entry = command.entries()[-1]
    return {name: entry[name] for name in ("readings", "packets", "open", "skipped")}


def is_without_broker(command: Command) -> bool:
    return any(entry.get("problem") == "no-broker" for entry in command.entries())


def test_a_count_of_readings_arrives_and_the_command_ends(settings: Settings, tmp_path: Path) -> None:
    args = ("--type", "rt", "--devices", "40", "--rate", "40", "--count", "60", "--seed", "3")
    with (
        listening(settings.mqtt_broker, settings.mqtt_port) as heard,
        Command(settings, "simulate", *args, folder=tmp_path) as command,
    ):
        assert command.process.wait(60) == 0
        told = totals(command)
        assert told == {"readings": 60, "packets": told["packets"], "open": 0, "skipped": 0}
        wait_until(lambda: len(heard) >= told["packets"])
    frames = [json.loads(message.payload) for message in heard]
    assert len({(frame["id"], frame["time"]) for frame in frames}) == 60
    assert len({frame["id"] for frame in frames}) == 40
    assert {message.qos for message in heard} == {1}


def test_readings_come_at_the_rate(settings: Settings, tmp_path: Path) -> None:
    args = ("--type", "rt", "--devices", "50", "--rate", "50", "--duration", "3")
    with Command(settings, "simulate", *args, folder=tmp_path) as command:
        assert command.process.wait(60) == 0
        # What a busy machine cannot send in time is left out, so only the upper bound is sharp.
        assert 75 <= totals(command)["readings"] <= 150


@pytest.mark.parametrize("end", ["terminate", "interrupt"])
def test_it_stops_cleanly(settings: Settings, tmp_path: Path, end: str) -> None:
    with (
        listening(settings.mqtt_broker, settings.mqtt_port) as heard,
        Command(settings, "simulate", "--rate", "5", "--type", "rt", folder=tmp_path) as command,
    ):
        wait_until(lambda: heard)
        command.process.send_signal(15 if end == "terminate" else 2)
        assert command.process.wait(60) == 0
        assert totals(command)["open"] == 0
        assert "Traceback" not in command.log.read_text()


def test_it_waits_for_a_broker_and_outlives_a_restart(settings: Settings, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    mine = settings.model_copy(update={"mqtt_broker": broker.host, "mqtt_port": broker.port})
    try:
        with Command(mine, "simulate", "--type", "rt", "--devices", "20", "--rate", "20", folder=tmp_path) as command:
            wait_until(lambda: is_without_broker(command))
            broker.start()
            with listening(broker.host, broker.port) as heard:
                wait_until(lambda: len(heard) > 20)
                broker.restart()
                before = len(heard)
                wait_until(lambda: len(heard) > before + 20, 20)
            assert command.stop() == 0
    finally:
        broker.stop()


def test_it_stops_without_a_broker(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"mqtt_port": Mosquitto(tmp_path).port})
    with Command(nowhere, "simulate", folder=tmp_path) as command:
        wait_until(lambda: is_without_broker(command))
        assert command.stop() == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--faults", "duplicates,hail"), "'hail'"),
        (("--type", "rt,steam"), "'steam'"),
        (("--type", "rt", "--devices", "5", "--rate", "6"), "--rate 6 "),
    ],
)
def test_what_the_operator_has_to_mend(settings: Settings, tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    with Command(settings, "simulate", *args, folder=tmp_path) as command:
        assert command.process.wait(60) == 2
        assert words in " ".join(command.log.read_text().split())


def test_no_broker_is_set(settings: Settings, tmp_path: Path) -> None:
    unset = settings.model_copy(update={"mqtt_broker": "", "mongo_db_uri": SecretStr("")})
    with Command(unset, "simulate", folder=tmp_path) as command:
        assert command.process.wait(60) == 2
        assert "MQTT_BROKER" in command.log.read_text()
