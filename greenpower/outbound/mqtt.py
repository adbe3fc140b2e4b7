"""MQTT: each row is a message with QoS 1; a batch is taken when the broker has acknowledged all of them.

    {prefix}/{type}/{device}     a row, as JSON with `content`, `type` and `resolution`
    {prefix}/test                a test

Over MQTT 5 a message carries its delivery id, time and signature as user properties. What belongs here: connection,
topics and acknowledgements. What does not: which addresses are allowed (`address`).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from greenpower.datatype.topic import topics_overlap
from greenpower.outbound.address import Networks, OutboundAddress, connect
from greenpower.outbound.batch import OutboundBatch, delivery_id, encode
from greenpower.outbound.failure import DeliveryError
from greenpower.outbound.sign import sign

BROKER_SECONDS, ACKNOWLEDGE_SECONDS = 5.0, 10.0
DELIVERY_PROPERTY, TIME_PROPERTY, SIGNATURE_PROPERTY = "delivery", "timestamp", "signature"
# Of a device id, in a level of a topic.
PLAIN = "-_.:~ @,;=()!'*"
TEST_LEVEL = "test"


def claimed_topics(prefix: str, topics: Iterable[str]) -> list[str]:
    """Those of the site's topics on which messages of a prefix would come in again."""
    mine = (f"{prefix}/+/+", f"{prefix}/+")
    return [topic for topic in topics if any(topics_overlap(one, topic) for one in mine)]


def topic_of(prefix: str, batch: OutboundBatch, row: dict[str, Any]) -> str:
    """The topic of a row."""
    if batch.type is None:
        return f"{prefix}/{batch.content.value}"
    return f"{prefix}/{batch.type}/{quote(str(row['device_id']), safe=PLAIN)}"


class CheckedClient(paho.Client):
    """paho's client, connecting to an address that was checked."""

    #: where to, and the networks that are allowed; None for the site's own broker
    checked: tuple[OutboundAddress, Networks] | None = None

    def _create_socket_connection(self) -> socket.socket:
        if self.checked is None:
            return super()._create_socket_connection()
        return connect(*self.checked, BROKER_SECONDS)


@dataclass(slots=True, kw_only=True)
class MqttSender:
    """Sends to one broker, over one connection. networks: None where the address need not be checked. topics: of the
    site, which must not be published on."""

    address: OutboundAddress
    networks: Networks | None
    tls: ssl.SSLContext | None
    prefix: str
    retain: bool
    secret: str
    topics: Iterable[str]
    _client: CheckedClient | None = field(default=None, init=False)
    _is_5: bool = field(default=True, init=False)
    _refused: list[str] = field(default_factory=list, init=False)

    def send(self, batch: OutboundBatch, now: datetime) -> None:
        """Publish a batch. Raises DeliveryError unless the broker acknowledges all of it in time."""
        if claimed_topics(self.prefix, self.topics):
            raise DeliveryError("its topics are claimed by a data type of this site: its messages would come in again")
        client = self._connected()
        self._refused.clear()
        sent = []
        for topic, payload in _messages(self.prefix, batch):
            try:
                retain = self.retain and not batch.is_test
                sent.append(client.publish(topic, payload, qos=1, retain=retain, properties=self._signed(payload, now)))
            except ValueError:
                raise DeliveryError("a message or its topic is too long for the broker") from None
        end = time.monotonic() + ACKNOWLEDGE_SECONDS
        try:
            for info in sent:
                while not info.is_published():
                    if time.monotonic() > end or not client.is_connected():
                        raise DeliveryError("the broker did not acknowledge in time")
                    info.wait_for_publish(0.1)
        except (RuntimeError, ValueError) as error:
            raise DeliveryError("the broker did not take a message") from error
        if self._refused:
            raise DeliveryError(f"the broker refused a message: {self._refused[0]}")

    def close(self) -> None:
        """Disconnect. What was not acknowledged is not sent later."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _signed(self, payload: bytes, now: datetime) -> Properties | None:
        if not self._is_5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        seconds = int(now.timestamp())
        properties.UserProperty = [
            (DELIVERY_PROPERTY, delivery_id(payload)),
            (TIME_PROPERTY, str(seconds)),
            (SIGNATURE_PROPERTY, sign(self.secret, seconds, payload)),
        ]
        properties.ContentType = "application/json"
        return properties

    def _connected(self) -> CheckedClient:
        if self._client is not None:
            return self._client
        problem = ""
        for version in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
            client = self._new_client(version)
            problem = self._connect(client)
            if not problem:
                self._client, self._is_5 = client, version == MQTTProtocolVersion.MQTTv5
                return client
            client.disconnect()
            client.loop_stop()
        raise DeliveryError(f"no connection to the broker: {problem}")

    def _new_client(self, version: MQTTProtocolVersion) -> CheckedClient:
        clean = True if version == MQTTProtocolVersion.MQTTv311 else None
        name = f"greenpower-outbound-{uuid4().hex[:12]}"
        client = CheckedClient(CallbackAPIVersion.VERSION2, client_id=name, protocol=version, clean_session=clean)
        client.checked = None if self.networks is None else (self.address, self.networks)
        if self.address.username is not None:
            client.username_pw_set(self.address.username, self.address.password)
        if self.tls is not None:
            client.tls_set_context(self.tls)
        client.connect_timeout = BROKER_SECONDS
        return client

    def _connect(self, client: CheckedClient) -> str:
        """Connect. Returns what went wrong, empty if nothing did. Raises DeliveryError for an address that is not
        allowed, or cannot be reached."""
        done, refused = Event(), [""]

        def on_connect(_client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
            refused[0] = str(reason) if reason.is_failure else ""
            done.set()

        def on_publish(_client: paho.Client, _data: Any, _mid: int, reason: ReasonCode, _properties: Any) -> None:
            if reason.is_failure:
                self._refused.append(str(reason))

        client.on_connect, client.on_publish = on_connect, on_publish
        try:
            client.connect(self.address.host, self.address.port)
        except ssl.SSLError as error:
            raise DeliveryError(f"TLS failed: {error.reason or 'cut'}") from None
        except OSError as error:
            raise DeliveryError(f"no connection to the broker: {error.strerror or type(error).__name__}") from None
        client.loop_start()
        return refused[0] if done.wait(BROKER_SECONDS) else "no answer"


def _messages(prefix: str, batch: OutboundBatch) -> Iterator[tuple[str, bytes]]:
    about = {"content": batch.content.value, "type": batch.type, "resolution": batch.resolution}
    if batch.is_test:
        yield f"{prefix}/{TEST_LEVEL}", encode({"target": batch.target, **about, "test": True})
    for row in batch.rows:
        yield topic_of(prefix, batch, row), encode({**about, **row})
