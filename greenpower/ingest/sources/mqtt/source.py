"""MQTT: one persistent session, a connection after the other, acknowledgements held until frames are stored.

What belongs here: when to connect, what to subscribe to, which frames are taken. What does not: a single connection
(`connection`), what the broker's limits mean (`limits`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from gmqtt import Subscription
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.mqtt.handler import MQTTConnectError

from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.mqtt.broker_limits import DROPPED, Dropped, of_connack, of_suback
from greenpower.ingest.sources.mqtt.connection import BrokerSilent, Connection, Topic, connect, persistent, version_name
from greenpower.ingest.sources.mqtt.subscription import ALWAYS_SEND_RETAINED, encoded, filters, subscriptions

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
# Refusals that name the protocol version: 3.1.1's code and MQTT 5's.
VERSION_REFUSED = frozenset({1, 132})
# Frames of lost connections are still being written while the next connection brings its own. Up to this many windows
# may be held before we stay away from the broker until there is room.
WINDOWS_HELD = 4
# With one more window held, its own connection's, we read nothing from the broker until there is room. Only a broker
# that sends more than it may comes so far: when a session comes back with frames in flight and others that wait,
# mosquitto 2.0.11 forgets its limit after some acknowledgements and sends all that wait.
WINDOWS_READ = WINDOWS_HELD + 1
ROOM_SECONDS = 0.05
SUCCESS = 0
UNSPECIFIED_ERROR = 128
SESSION_TAKEN_OVER = 0x8E


class MqttSource:
    """Feeds a pipeline from a broker until it is stopped."""

    def __init__(self, *, settings: Settings, topics: Sequence[str], pipeline: Pipeline) -> None:
        self.host = settings.need("MQTT_BROKER")
        self.settings = settings
        self.pipeline = pipeline
        self.metrics = pipeline.metrics
        self.topics = filters(topics, shared=settings.mqtt_shared)
        self.others = filters(topics, shared=not settings.mqtt_shared)
        self.window = settings.mqtt_receive_maximum
        self.connected = False
        self.problem = "not connected yet"
        self.dropped = Dropped()
        self._limits: tuple[str, ...] = ()
        self._granted: tuple[str, ...] = ()
        self._subscribing: int | None = None
        self._version: int = MQTTv50
        self._knows_5 = False
        self._client: Connection | None = None
        self._left: asyncio.Future[None] | None = None
        self._nothing_to_store = asyncio.get_running_loop().create_future()
        self._nothing_to_store.set_result(None)
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Which limits of the broker break what we promise, as far as it tells of them."""
        return self._limits + self._granted + self.dropped.warning

    async def run(self) -> None:
        """Stay connected until `stop`."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            await self._room()
            if await self._connection():
                pause = FIRST_PAUSE
            if self._stopping.is_set():
                break
            # Jitter, so that many processes do not come back at once.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop(self) -> None:
        """End intake: what comes from now on is not acknowledged. Call `disconnect` once the pipeline is drained."""
        self._stopping.set()

    async def disconnect(self) -> None:
        """Leave the broker, keeping the session."""
        client, self._client = self._client, None
        if client is not None:
            await client.leave()
        self._ended.set()
        self._set_connected(False, "stopped")

    async def _room(self) -> None:
        batcher = self.pipeline.batcher
        while (batcher.pending > WINDOWS_HELD * self.window or batcher.is_full) and not self._stopping.is_set():
            await asyncio.sleep(ROOM_SECONDS)

    async def _connection(self) -> bool:
        """One connection from beginning to end. Returns whether the broker accepted it."""
        client = self._new_client()
        self._client = client
        try:
            await connect(client, self.settings, self._version)
        except (OSError, TimeoutError, MQTTConnectError) as error:
            self._give_up(error)
            await client.leave()
            return False
        self._set_connected(True, "")
        self._knows_5 = self._knows_5 or self._version == MQTTv50
        log.info("connected to %s:%d, MQTT %s", self.host, self.settings.mqtt_port, version_name(self._version))
        lost = asyncio.create_task(client.lost.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({lost, stopping}, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        stopping.cancel()
        if client.lost.is_set():
            self.metrics.disconnects.inc()
            self._set_connected(False, "connection lost")
            log.warning("the broker %s:%d is gone, connecting again", self.host, self.settings.mqtt_port)
            self._client = None
        return True

    def _new_client(self) -> Connection:
        client = persistent(self.settings, self._version)
        client.on_message = self._on_message
        client.on_frame = self._take
        client.on_acknowledged = self._on_acknowledged
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _give_up(self, error: Exception) -> None:
        """Note why a connection failed, and try the other version next where that may be the cause."""
        self._client = None
        self._set_connected(False, str(error))
        refused = isinstance(error, MQTTConnectError) and error._code in VERSION_REFUSED
        # Brokers that know no MQTT 5 also just hang up, or wait for the rest of what they take for a longer packet.
        # One that was heard to speak it was only cut off.
        closed = isinstance(error, BrokerSilent) and not self._knows_5
        log.warning("cannot connect to %s:%d: %s", self.host, self.settings.mqtt_port, error)
        if self._version == MQTTv50 and (refused or closed):
            log.warning("trying MQTT 3.1.1")
            self._version = MQTTv311
        elif self._version == MQTTv311:
            self._version = MQTTv50

    def _on_connect(self, client: Connection, flags: int, rc: int, properties: dict[str, Any]) -> None:
        self._check_limits(client)
        # Also on a session that is there already: the claims may have changed since.
        self._subscribing = client.subscribe(subscriptions(self.topics, is_v5=self._version == MQTTv50))
        # The other form goes after this one is there: frames may come twice in between, but none is missed.
        client.unsubscribe(encoded(self.others))
        client.subscribe(Subscription(DROPPED, qos=0, retain_handling_options=ALWAYS_SEND_RETAINED))

    def _check_limits(self, client: Connection) -> None:
        limits = of_connack(client.connack, is_v5=self._version == MQTTv50, settings=self.settings)
        for warning in limits:
            if warning not in self._limits:
                log.warning("%s", warning)
        self._limits = limits

    def _on_subscribe(self, client: Connection, mid: int, granted: Sequence[int], properties: dict[str, Any]) -> None:
        if mid != self._subscribing:
            return  # $SYS: not every broker has it, and not everyone may read it
        refused = [topic for topic, qos in zip(self.topics, granted, strict=False) if qos >= UNSPECIFIED_ERROR]
        if refused:
            self.problem = f"the broker refuses the subscription to {', '.join(refused)}"
            log.error("%s", self.problem)
        self._granted = of_suback(self.topics, granted)
        for warning in self._granted:
            log.warning("%s", warning)

    def _on_disconnect(self, client: Connection, packet: bytes, exc: Exception | None = None) -> None:
        if packet and packet[0] == SESSION_TAKEN_OVER:
            log.error("another process connected as %s: each needs an MQTT_CLIENT_ID of its own", client._client_id)

    async def _on_message(
        self, client: Connection, topic: Topic, payload: bytes, qos: int, properties: dict[str, Any]
    ) -> int:
        """Take a frame that is not of QoS 1. gmqtt acknowledges one of QoS 2 when this returns."""
        if qos == 0 and topic != DROPPED and self.pipeline.batcher.pending > WINDOWS_HELD * self.window:
            self.metrics.overflow.inc()
            return SUCCESS
        await (self._take(client, topic, payload, properties) or self._ended.wait())
        return SUCCESS

    def _take(
        self, client: Connection, topic: Topic, payload: bytes, properties: dict[str, Any]
    ) -> asyncio.Future[None] | None:
        """Take a frame. The answer ends when it may be acknowledged; None where it must not be on this connection."""
        if topic == DROPPED:
            self._hear_dropped(payload)
            return self._nothing_to_store
        if self._stopping.is_set():
            # Unacknowledged, it comes again to the next process: nothing can be sent once the connection is closed.
            return None
        if self.pipeline.batcher.is_full and not client.lost.is_set():
            # Long frames, and MongoDB away: leave the rest at the broker until there is room again.
            log.warning("%d bytes held, leaving the broker for a while", self.pipeline.batcher.pending_bytes)
            client.lost.set()
            self._left = asyncio.ensure_future(client.leave())  # kept: nothing else holds it until it is done
        arrival = Arrival(
            topic=topic if isinstance(topic, str) else ascii(topic),
            payload=payload,
            received_at=datetime.now(UTC),
            source="mqtt",
            dup=bool(properties["dup"]),
            retained=bool(properties["retain"]),
        )
        done = self.pipeline.submit(arrival)
        if self.pipeline.batcher.pending > WINDOWS_READ * self.window:
            self._hold_back(client)
        return done

    def _on_acknowledged(self, sent: int, unsent: int) -> None:
        self.metrics.acknowledged.inc(sent)
        self.metrics.unacknowledged.inc(unsent)

    def _hold_back(self, client: Connection) -> None:
        """Leave what the broker sends in the network until there is room."""
        if not client.held_back:
            if not client.noisy:
                log.warning("the broker sends more than it may, reading no faster than is stored")
                client.noisy = True
            asyncio.get_running_loop().call_later(ROOM_SECONDS, self._read_on, client)
        client.hold_back(True)

    def _read_on(self, client: Connection) -> None:
        if client.lost.is_set():
            return
        if self.pipeline.batcher.pending > WINDOWS_HELD * self.window:
            asyncio.get_running_loop().call_later(ROOM_SECONDS, self._read_on, client)
        else:
            client.hold_back(False)

    def _hear_dropped(self, payload: bytes) -> None:
        if self.dropped.hear(payload):
            log.warning("the broker dropped messages, %d since its start: a queue is full", self.dropped.total)
        self.metrics.broker_dropped.set(self.dropped.total or 0)

    def _set_connected(self, connected: bool, problem: str) -> None:
        self.connected = connected
        self.problem = problem
        self.metrics.connected.set(connected)
