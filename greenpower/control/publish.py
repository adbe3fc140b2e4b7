"""A short visit to the broker: connect, publish with QoS 1, wait for the acknowledgement, disconnect.

The worker's jobs are processes of their own, a few per minute. They keep no session, so nothing is sent later. If the
broker speaks MQTT 5, a message carries its time of expiry: a meter that was away does not get old commands.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import uuid4

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from greenpower.config import Settings
from greenpower.datatype import Message

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
END_TOPIC = "greenpower/end/"
PUBLISH_SECONDS = 5.0
# For all of several messages, and for all that the broker retains under a filter.
RETAIN_SECONDS, READ_RETAINED_SECONDS = 30.0, 10.0


class NoBroker(OSError):
    """The broker cannot be reached, or refuses the login: nothing was sent."""


class Visit:
    """An open connection to the broker."""

    def __init__(self, client: paho.Client, version: MQTTProtocolVersion) -> None:
        self._client = client
        self._version = version

    def publish(self, message: Message, good_for: float) -> bool:
        """Publish. Returns whether the broker acknowledged; without that it may still have it. good_for: seconds."""
        properties = None
        if self._version == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = max(1, int(good_for))
        info = self._client.publish(message.topic, message.payload, qos=1, properties=properties)
        end = time.monotonic() + PUBLISH_SECONDS
        try:
            while not info.is_published() and time.monotonic() < end and self._client.is_connected():
                info.wait_for_publish(0.1)
            return info.is_published()
        except (RuntimeError, ValueError) as error:
            log.warning("the broker did not take a message on %a: %s", message.topic, error)
            return False

    def retain(self, messages: Mapping[str, bytes]) -> list[str]:
        """Publish messages that the broker is to retain, by topic; an empty one removes what it retains. Returns the
        topics whose message it acknowledged."""
        sent = {topic: self._client.publish(topic, payload, qos=1, retain=True) for topic, payload in messages.items()}
        end = time.monotonic() + RETAIN_SECONDS
        taken = []
        for topic, info in sent.items():
            try:
                while not info.is_published() and time.monotonic() < end and self._client.is_connected():
                    info.wait_for_publish(0.1)
                if info.is_published():
                    taken.append(topic)
            except (RuntimeError, ValueError) as error:
                log.warning("the broker did not take a message on %a: %s", topic, error)
        return taken

    def read_retained(self, topic_filter: str) -> dict[str, bytes] | None:
        """What the broker retains, by topic; None if it does not let us read there, or takes too long.

        After a subscription the broker sends what it retains, then what is published: so a message of our own is the
        end of it.
        """
        found: dict[str, bytes] = {}
        end_topic, done = f"{END_TOPIC}{uuid4().hex}", Event()

        def on_message(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
            if message.topic == end_topic:
                done.set()
            elif message.retain:
                found[message.topic] = bytes(message.payload)

        self._client.on_message = on_message
        self._client.subscribe([(end_topic, 0), (topic_filter, 0)])
        self._client.publish(end_topic, b"", qos=0)
        try:
            return found if done.wait(READ_RETAINED_SECONDS) else None
        finally:
            self._client.unsubscribe([end_topic, topic_filter])
            self._client.on_message = None

    def listen(self, topic_filter: str, take: Callable[[str, bytes], bool], seconds: float) -> bool:
        """Hand each message under a filter to `take` until it answers that this is enough, or for so many seconds.
        Returns whether the broker lets us read there. What `take` raises is raised."""
        done, refused, failed = Event(), Event(), list[Exception]()

        def on_message(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError:
                return
            try:
                if not done.is_set() and take(topic, bytes(message.payload)):
                    done.set()
            except Exception as error:
                failed.append(error)
                done.set()

        def on_subscribe(
            _client: paho.Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any
        ) -> None:
            if any(code.is_failure for code in codes):
                refused.set()
                done.set()

        self._client.on_message, self._client.on_subscribe = on_message, on_subscribe
        try:
            self._client.subscribe(topic_filter, 0)
            done.wait(seconds)
        except ValueError:  # no valid filter
            return False
        finally:
            self._client.on_message = self._client.on_subscribe = None
        if failed:
            raise failed[0]
        return not refused.is_set()


@contextmanager
def visit(settings: Settings) -> Iterator[Visit]:
    """A connection to the broker with MQTT 5, or with 3.1.1 if it knows no 5. Raises NoBroker, ConfigError."""
    host = settings.need("MQTT_BROKER")
    for version in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        client = _client(settings, version)
        try:
            problem = _connect(client, host, settings.mqtt_port)
            if not problem:
                yield Visit(client, version)
                return
        finally:
            client.disconnect()
            client.loop_stop()
    raise NoBroker(f"no broker at {host}:{settings.mqtt_port}: {problem}")


def _client(settings: Settings, version: MQTTProtocolVersion) -> paho.Client:
    name = f"greenpower-downlink-{uuid4().hex[:12]}"
    clean = True if version == MQTTProtocolVersion.MQTTv311 else None
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version, clean_session=clean)
    if settings.mqtt_username:
        client.username_pw_set(settings.mqtt_username, settings.mqtt_password.get_secret_value() or None)
    if settings.mqtt_tls:
        context = ssl.create_default_context(cafile=settings.mqtt_tls_ca)
        if settings.mqtt_tls_cert is not None:
            context.load_cert_chain(settings.mqtt_tls_cert, settings.mqtt_tls_key)
        client.tls_set_context(context)
    client.connect_timeout = CONNECT_SECONDS
    return client


def _connect(client: paho.Client, host: str, port: int) -> str:
    """Connect. Returns what went wrong, empty if nothing did."""
    done, refused = Event(), [""]

    def on_connect(_client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        refused[0] = str(reason) if reason.is_failure else ""
        done.set()

    client.on_connect = on_connect
    try:
        client.connect(host, port)
    except OSError as error:
        return str(error) or type(error).__name__
    client.loop_start()
    return refused[0] if done.wait(CONNECT_SECONDS) else "no answer"
