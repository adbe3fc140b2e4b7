"""The simulated devices' connection to the broker: MQTT, QoS 1, made again when it is lost.

What belongs here: the connection, what is under way on it, sending again what a lost connection left open, receiving
commands. What does not: what is sent, and when.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from random import uniform
from typing import Any
from uuid import uuid4

from greenpower.config import Settings
from greenpower.ingest.sources.mqtt.connect import connect, set_credentials
from greenpower.ingest.sources.mqtt.gmqtt_client import (
    MQTTError,
    MQTTv50,
    MQTTv311,
    PersistentStorage,
    Properties,
    SingleConnection,
    Subscription,
)
from greenpower.simulator.device import Packet
from greenpower.simulator.listeners import Listeners

log = logging.getLogger(__name__)

LEAVE_SECONDS = 2.0
FIRST_RECONNECT_SECONDS = 0.2
MAX_RECONNECT_SECONDS = 10.0
#: so many failures in a row are worth one line; a broker that restarts is there sooner
FAILURES_LOGGED = 3
MAX_PACKETS_UNACKNOWLEDGED = 1000
#: packets that wait for the broker before the devices have to
MAX_PACKETS_WAITING = 1000
TOPICS_PER_SUBSCRIBE = 100


class Outbox(PersistentStorage):  # type: ignore[misc]
    """What gmqtt sent and the broker did not acknowledge yet. It tells the publisher packet ids and acks."""

    def __init__(self, publisher: SimulatorPublisher) -> None:
        super().__init__()
        self._publisher = publisher

    def push_message(self, mid: int, raw_package: bytes) -> None:
        self._publisher.last_id = mid

    def remove_message_by_mid(self, mid: int) -> None:
        with self._publisher.watched():
            self._publisher.acknowledged(mid)


class SimulatorPublisher:
    """Publishes packets in the order given, each until the broker has acknowledged it; so some come twice."""

    def __init__(self, settings: Settings, listeners: Listeners | None = None) -> None:
        self._listeners = listeners
        self._settings = settings
        self._host = settings.need("MQTT_BROKER")
        self._client: SingleConnection | None = None
        self._version = MQTTv50
        self._window = MAX_PACKETS_UNACKNOWLEDGED
        self._waiting: deque[Packet] = deque()
        self._under_way: dict[int, Packet] = {}
        self._changed = asyncio.Event()
        # gmqtt calls us in tasks of its own: what fails there is told here, and ends the simulation.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_id = 0
        self.sent = 0

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        failures = 0
        while True:
            try:
                client = await self._connect()
                log.info("connected to %s:%d", self._host, self._settings.mqtt_port)
                failures = 0
                await client.lost.wait()
                log.warning("the connection to the broker is lost; trying again")
            except (OSError, MQTTError, TimeoutError) as error:
                failures += 1
                level = logging.WARNING if failures == FAILURES_LOGGED else logging.DEBUG
                text = "no broker at %s:%d: %s"
                extra = {"fields": {"problem": "no-broker"}}
                log.log(level, text, self._host, self._settings.mqtt_port, error or "no answer", extra=extra)
            finally:
                await self._close()
            pause = min(FIRST_RECONNECT_SECONDS * 2 ** min(failures, 9), MAX_RECONNECT_SECONDS)
            await asyncio.sleep(pause * uniform(0.5, 1.0))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What fails in it ends the simulation."""
        try:
            yield
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)
            raise

    async def send(self, packet: Packet) -> None:
        """Take a packet; wait where too many wait already."""
        while len(self._waiting) >= MAX_PACKETS_WAITING:
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

    async def _connect(self) -> SingleConnection:
        client = SingleConnection(f"greenpower-simulator-{uuid4().hex[:8]}", persistent_storage=Outbox(self))
        client.on_connect = self._on_connect
        client.on_message = self._heard
        set_credentials(client, self._settings)
        version = self._version
        # Should this fail, the broker may be of the other kind: MQTT 5 and 3.1.1 take turns.
        self._version = MQTTv311 if version == MQTTv50 else MQTTv50
        try:
            await connect(client, self._settings, version)
        except BaseException:
            await client.leave(LEAVE_SECONDS)
            raise
        self._version = version
        self._client = client
        self._pump()
        return client

    def _on_connect(self, *arguments: Any) -> None:
        with self.watched():
            self._connected(*arguments)

    def _connected(self, client: SingleConnection, flags: int, code: int, properties: Properties) -> None:
        # gmqtt can have one packet less under way than the broker allows.
        allowed = properties.get("receive_maximum", [MAX_PACKETS_UNACKNOWLEDGED + 1])[0]
        self._window = max(1, min(MAX_PACKETS_UNACKNOWLEDGED, allowed - 1))
        topics = self._listeners.topics if self._listeners is not None else ()
        for first in range(0, len(topics), TOPICS_PER_SUBSCRIBE):
            client.subscribe([Subscription(topic, qos=1) for topic in topics[first : first + TOPICS_PER_SUBSCRIBE]])

    async def _heard(
        self, client: SingleConnection, topic: str, payload: bytes, qos: int, properties: Properties
    ) -> int:
        """A command for a device came: its answers go out with the readings."""
        if self._listeners is not None:
            try:
                answers = self._listeners.hear(topic, payload)
            except Exception:  # anyone may send anything: it costs its answer
                log.exception("a command on %a could not be answered", topic)
                return 0
            with self.watched():
                self._waiting.extend(answers)
                self._pump()
        return 0

    async def _close(self) -> None:
        client, self._client = self._client, None
        self._waiting.extendleft(reversed(self._under_way.values()))
        self._under_way.clear()
        if client is not None:
            await client.leave(LEAVE_SECONDS)
