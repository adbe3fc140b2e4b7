"""The simulated devices' way to the broker: one MQTT connection, QoS 1, kept up.

What belongs here: the connection, what is under way on it, sending again what a lost connection left open, hearing what
devices are told. What does not: what is sent, and when.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from contextlib import suppress
from random import uniform
from typing import Any
from uuid import uuid4

from gmqtt import Client, Subscription
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.mqtt.handler import MQTTError
from gmqtt.storage import PersistentStorage

from greenpower.config import Settings
from greenpower.simulator.device import Packet
from greenpower.simulator.listeners import Listeners

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
KEEPALIVE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 10.0
#: so many failures in a row are worth one line; a broker that restarts is there sooner
TOLD_AFTER = 3
WINDOW = 1000
#: packets that wait for the broker before the devices have to
WAITING = 1000
SUBSCRIPTIONS = 100


class Outbox(PersistentStorage):  # type: ignore[misc]
    """What gmqtt sent and the broker did not acknowledge yet. It tells the publisher packet ids and acks."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__()
        self._publisher = publisher

    def push_message(self, mid: int, raw_package: bytes) -> None:
        self._publisher.last_id = mid

    def remove_message_by_mid(self, mid: int) -> None:
        self._publisher.acknowledged(mid)


class Connection(Client):  # type: ignore[misc]
    """A client for one connection: the publisher makes the next one, and knows what to send again on it."""

    async def reconnect(self, delay: bool = False) -> None:
        """Not here."""


class Publisher:
    """Publishes packets in the order given, each until the broker has acknowledged it; so some come twice."""

    def __init__(self, settings: Settings, listeners: Listeners | None = None) -> None:
        self._listeners = listeners
        self._settings = settings
        self._host = settings.need("MQTT_BROKER")
        self._client: Client | None = None
        self._version = MQTTv50
        self._window = WINDOW
        self._lost = asyncio.Event()
        self._waiting: deque[Packet] = deque()
        self._under_way: dict[int, Packet] = {}
        self._changed = asyncio.Event()
        self.last_id = 0
        self.sent = 0

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        failures = 0
        while True:
            try:
                await self._connect()
                log.info("connected to %s:%d", self._host, self._settings.mqtt_port)
                failures = 0
                await self._lost.wait()
                log.warning("the broker is gone; trying again")
            except (OSError, MQTTError, TimeoutError) as error:
                failures += 1
                level = logging.WARNING if failures == TOLD_AFTER else logging.DEBUG
                log.log(level, "no broker at %s:%d: %s", self._host, self._settings.mqtt_port, error or "no answer")
            finally:
                await self._close()
            await asyncio.sleep(min(0.2 * 2 ** min(failures, 9), LONGEST_PAUSE_SECONDS) * uniform(0.5, 1.0))

    async def send(self, packet: Packet) -> None:
        """Take a packet; wait where too many wait already."""
        while len(self._waiting) >= WAITING:
            self._changed.clear()
            await self._changed.wait()
        self._waiting.append(packet)
        self._pump()

    @property
    def open(self) -> int:
        """How many packets the broker has not acknowledged."""
        return len(self._waiting) + len(self._under_way)

    async def drain(self) -> None:
        """Wait until all is acknowledged."""
        while self.open:
            self._changed.clear()
            await self._changed.wait()

    def acknowledged(self, packet_id: int) -> None:
        """The broker has a packet."""
        if self._under_way.pop(packet_id, None) is not None:
            self.sent += 1
        self._changed.set()
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._client is not None and len(self._under_way) < self._window:
            packet = self._waiting.popleft()
            self._client.publish(*packet, qos=1)
            self._under_way[self.last_id] = packet

    async def _connect(self) -> None:
        self._lost = asyncio.Event()
        client = Connection(f"greenpower-simulator-{uuid4().hex[:8]}", persistent_storage=Outbox(self))
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._heard
        if self._settings.mqtt_username:
            client.set_auth_credentials(
                self._settings.mqtt_username, self._settings.mqtt_password.get_secret_value() or None
            )
        version = self._version
        # Should this fail, the broker may be of the other kind: MQTT 5 and 3.1.1 take turns.
        self._version = MQTTv311 if version == MQTTv50 else MQTTv50
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    self._host, self._settings.mqtt_port, ssl=tls(self._settings), version=version,
                    keepalive=KEEPALIVE_SECONDS,
                )  # fmt: skip
        except BaseException:
            await _end(client)
            raise
        self._version = version
        self._client = client
        self._pump()

    def _connected(self, client: Client, flags: int, code: int, properties: dict[str, Any]) -> None:
        # gmqtt can have one packet less under way than the broker allows.
        allowed = properties.get("receive_maximum", [WINDOW + 1])[0]
        self._window = max(1, min(WINDOW, allowed - 1))
        topics = self._listeners.topics if self._listeners is not None else ()
        for first in range(0, len(topics), SUBSCRIPTIONS):
            client.subscribe([Subscription(topic, qos=1) for topic in topics[first : first + SUBSCRIPTIONS]])

    async def _heard(self, client: Client, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        """A device is told something: its answers go out with the readings."""
        if self._listeners is not None:
            self._waiting.extend(self._listeners.hear(topic, payload))
            self._pump()
        return 0

    def _disconnected(self, client: Client, packet: Any, error: Exception | None = None) -> None:
        self._lost.set()

    async def _close(self) -> None:
        client, self._client = self._client, None
        self._waiting.extendleft(reversed(self._under_way.values()))
        self._under_way.clear()
        if client is not None:
            await _end(client)


async def _end(client: Client) -> None:
    """Close a connection in whatever state it is."""
    with suppress(OSError, TimeoutError, AttributeError):
        async with asyncio.timeout(2):
            await client.disconnect()


def tls(settings: Settings) -> ssl.SSLContext | bool:
    """What the settings say of TLS; False without it."""
    if not settings.mqtt_tls:
        return False
    context = ssl.create_default_context(cafile=str(settings.mqtt_tls_ca) if settings.mqtt_tls_ca else None)
    if settings.mqtt_tls_cert:
        context.load_cert_chain(settings.mqtt_tls_cert, settings.mqtt_tls_key)
    return context
