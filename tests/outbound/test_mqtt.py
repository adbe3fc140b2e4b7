"""MQTT to a real broker: topics, acknowledgements, signatures, and that nothing comes into this site again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import paho.mqtt.client as paho
import pytest
from bson import ObjectId
from paho.mqtt.enums import CallbackAPIVersion

from greenpower.catalog.registry import get_registry
from greenpower.outbound.address import OutboundAddress
from greenpower.outbound.batch import OutboundBatch, delivery_id
from greenpower.outbound.failure import DeliveryError
from greenpower.outbound.mqtt import MqttSender, claimed_topics, topic_of
from greenpower.outbound.sign import sign
from greenpower.sql import OutboundContent
from greenpower.stack.port import free_port
from tests.outbound.world import SECRET, T0
from tests.wait import wait_until


class Listener:
    """What is published under a prefix."""

    def __init__(self, broker: tuple[str, int], prefix: str) -> None:
        self.heard: list[paho.MQTTMessage] = []
        subscribed: list[int] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.heard.append(message)
        self.client.on_subscribe = lambda *_: subscribed.append(1)
        self.client.connect(*broker)
        self.client.loop_start()
        self.client.subscribe(f"{prefix}/#", qos=1)
        wait_until(lambda: subscribed)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def prefix() -> str:
    return f"out-{uuid4().hex[:8]}/site"


@pytest.fixture
def listener(broker: tuple[str, int], prefix: str) -> Iterator[Listener]:
    found = Listener(broker, prefix)
    yield found
    found.close()


def sender_to(broker: tuple[str, int], prefix: str, **more: Any) -> MqttSender:
    address = OutboundAddress(scheme="mqtt", host=broker[0], port=broker[1], path="/", username=None, password=None)
    values: dict[str, Any] = {
        "networks": None, "tls": None, "retain": False, "secret": SECRET, "topics": get_registry().topics,
    }  # fmt: skip
    return MqttSender(address=address, prefix=prefix, **{**values, **more})


def batch_of(*devices: str, **more: Any) -> OutboundBatch:
    rows = [
        {"id": ObjectId(f"{n:024x}"), "device_id": d, "timestamp": T0, "payload": {}} for n, d in enumerate(devices)
    ]
    return OutboundBatch(target="t", content=OutboundContent.READINGS, type="rt", resolution="raw", rows=rows, **more)


def test_each_row_is_a_signed_message_in_order(broker: tuple[str, int], prefix: str, listener: Listener) -> None:
    devices = [f"d{number}" for number in range(100)] + ["a/b+#%"]
    sender = sender_to(broker, prefix)
    sender.send(batch_of(*devices), T0)
    sender.send(batch_of(is_test=True), T0)
    sender.close()
    wait_until(lambda: len(listener.heard) == len(devices) + 1)
    *rows, test = listener.heard
    assert [message.topic for message in rows] == [
        *(f"{prefix}/rt/d{number}" for number in range(100)), f"{prefix}/rt/a%2Fb%2B%23%25",
    ]  # fmt: skip
    first = json.loads(rows[0].payload)
    assert (first["content"], first["type"], first["resolution"], first["device_id"]) == ("readings", "rt", "raw", "d0")
    assert rows[0].properties is not None
    said = dict(getattr(rows[0].properties, "UserProperty"))  # noqa: B009
    payload = bytes(rows[0].payload)
    assert said["delivery"] == delivery_id(payload)
    assert said["signature"] == sign(SECRET, int(said["timestamp"]), payload)
    assert test.topic == f"{prefix}/test" and json.loads(test.payload)["test"] is True
    assert {message.qos for message in listener.heard} == {1} and not any(row.retain for row in rows)


def test_a_broker_retains_the_last_row_of_each_device_where_it_is_asked_to(
    broker: tuple[str, int], prefix: str
) -> None:
    sender = sender_to(broker, prefix, retain=True)
    sender.send(batch_of("d1", "d2", "d1"), T0)
    sender.send(batch_of(is_test=True), T0)
    sender.close()
    late = Listener(broker, prefix)
    wait_until(lambda: len(late.heard) == 2)
    assert {message.topic: json.loads(message.payload)["id"][-1] for message in late.heard} == {
        f"{prefix}/rt/d1": "2", f"{prefix}/rt/d2": "1",
    }  # fmt: skip
    for message in list(late.heard):  # what removes them is heard too
        late.client.publish(message.topic, b"", qos=1, retain=True).wait_for_publish(10)
    late.close()


def test_what_cannot_be_delivered(broker: tuple[str, int], prefix: str) -> None:
    for sender in (
        sender_to(("127.0.0.1", free_port()), prefix),
        sender_to(broker, prefix, networks=()),  # this machine is not allowed
        sender_to(broker, "a\0b"),
    ):
        with pytest.raises(DeliveryError) as refused:
            sender.send(batch_of("d1"), T0)
        assert "127.0.0.1" not in str(refused.value)
        sender.close()
    allowed = sender_to(broker, prefix, networks=(ip_network("127.0.0.0/8"),))
    allowed.send(batch_of("d1"), T0)
    allowed.close()


def test_no_topic_of_this_site_is_published_on(broker: tuple[str, int], prefix: str, listener: Listener) -> None:
    claims = [f"{prefix}/+/data", f"{prefix}/#", f"{prefix}/rt/+", "#", "+/+/+/+", f"{prefix}/test"]
    for claim in claims:
        assert claimed_topics(prefix, [claim]) == [claim]
        sender = sender_to(broker, prefix, topics=["other/+", claim])
        with pytest.raises(DeliveryError):
            sender.send(batch_of("d1"), T0)
        sender.close()
    assert not claimed_topics(prefix, ["other/#", f"{prefix}x/#", f"{prefix}/a/b/c"])
    # Whatever a device is called, its topic has one level for it.
    for device in ("a/b", "/", "+", "#", "ü", "a\nb", "$x", ""):
        assert topic_of(prefix, batch_of(device), {"device_id": device}).count("/") == prefix.count("/") + 2
    assert listener.heard == []
