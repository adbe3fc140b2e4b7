"""What promise 1 asks of the embedded broker: sessions and frames that wait for us, whatever happens to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from greenpower.stack import Mosquitto
from tests.wait import wait_until

TOPIC = "MQTT_RT_DATA"
NEVER = 0xFFFFFFFF


class Listener:
    """An MQTT 5 client with a session that does not expire."""

    def __init__(self, broker: Mosquitto) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener", protocol=paho.MQTTv5)
        self.had_session: bool | None = None
        self.received: list[bytes] = []
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda client, data, message: self.received.append(bytes(message.payload))
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = NEVER
        self.client.connect(broker.host, broker.port, clean_start=False, properties=properties)
        self.client.loop_start()

    def _on_connect(self, client: paho.Client, data: object, flags: paho.ConnectFlags, *_: object) -> None:
        self.had_session = flags.session_present


@contextlib.contextmanager
def listening(broker: Mosquitto) -> Iterator[Listener]:
    listener = Listener(broker)
    try:
        wait_until(lambda: listener.had_session is not None)
        yield listener
    finally:
        listener.client.disconnect()
        listener.client.loop_stop()


def subscribe(broker: Mosquitto) -> None:
    """Make the session and leave."""
    with listening(broker) as listener:
        done: list[int] = []
        listener.client.on_subscribe = lambda client, data, mid, codes, properties: done.append(mid)
        listener.client.subscribe(TOPIC, qos=1)
        wait_until(lambda: done)


def publish(broker: Mosquitto, count: int, qos: int) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="meter")
    client.connect(broker.host, broker.port)
    client.loop_start()
    # The last with QoS 1: its acknowledgement says that the broker has those before it too.
    sent = [client.publish(TOPIC, str(number), qos=qos if number < count - 1 else 1) for number in range(count)]
    for info in sent:
        info.wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("qos", [0, 1])
def test_frames_wait_through_a_restart(qos: int, tmp_path: Path) -> None:
    """More of them than mosquitto keeps by default (1000), and those of meters that publish with QoS 0 too."""
    with Mosquitto(tmp_path) as broker:
        subscribe(broker)
        publish(broker, 3000, qos)
        broker.restart()
        with listening(broker) as listener:
            assert listener.had_session
            wait_until(lambda: len(listener.received) >= 3000)
            assert listener.received == [str(number).encode() for number in range(3000)]


def test_a_broker_that_forgot_has_no_session(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        subscribe(broker)
        publish(broker, 1, 1)
        broker.stop()
        broker.forget()
        broker.start()
        with listening(broker) as listener:
            assert listener.had_session is False


def test_a_killed_broker_keeps_what_it_saved(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, options={"autosave_interval": "1"}) as broker:
        subscribe(broker)
        publish(broker, 3, 1)
        saved = tmp_path / "mosquitto.db"
        wait_until(lambda: saved.exists() and saved.read_bytes().count(TOPIC.encode()) == 4)  # a session, 3 frames
        broker.kill()
        broker.start()
        with listening(broker) as listener:
            assert listener.had_session
            wait_until(lambda: len(listener.received) == 3)
