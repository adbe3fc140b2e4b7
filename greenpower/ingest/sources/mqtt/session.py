"""One persistent session at the broker: connected again and again, subscribed, and what the broker says of itself.

What belongs here: when to connect, with which version of MQTT, what to subscribe to. What does not: a single connection
(`gmqtt_client`), which frames are taken (`intake`), what the broker's limits mean (`broker_limits`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress

from greenpower.config import Settings
from greenpower.ingest.sources.mqtt.broker_limits import DROPPED, of_connack, of_suback
from greenpower.ingest.sources.mqtt.connect import BrokerSilent, connect, persistent, version_name
from greenpower.ingest.sources.mqtt.gmqtt_client import (
    BrokerConnection,
    MQTTConnectError,
    MQTTv50,
    MQTTv311,
    OnFrame,
    Properties,
    Subscription,
    refusal_code,
)
from greenpower.ingest.sources.mqtt.intake import MqttIntake
from greenpower.ingest.sources.mqtt.subscription import ALWAYS_SEND_RETAINED, encoded, filters, subscriptions

log = logging.getLogger(__name__)

FIRST_RECONNECT_SECONDS = 0.2
MAX_RECONNECT_SECONDS = 15.0
ADVANCE_SECONDS = 5.0
# Refusals that name the protocol version: 3.1.1's code and MQTT 5's.
VERSION_REFUSED = frozenset({1, 132})
UNSPECIFIED_ERROR = 128
SESSION_TAKEN_OVER = 0x8E


class MqttSession:
    """Feeds an intake from a broker until it is stopped."""

    def __init__(self, *, settings: Settings, topics: Sequence[str], intake: MqttIntake) -> None:
        self.host = settings.need("MQTT_BROKER")
        self.settings = settings
        self.intake = intake
        self.metrics = intake.metrics
        self.topics = filters(topics, shared=settings.mqtt_shared)
        self.others = filters(topics, shared=not settings.mqtt_shared)
        self.on_frame: OnFrame = intake.take
        self.advance: Callable[[], None] = lambda: None  # called again and again while `run` goes on
        self.connected = False
        self.problem = "not connected yet"
        self.refused = ""  # what the broker did not let us subscribe to, on this connection
        self._limits: tuple[str, ...] = ()
        self._granted: tuple[str, ...] = ()
        self._subscribing: int | None = None
        self._version: int = MQTTv50
        self._knows_5 = False
        self._client: BrokerConnection | None = None
        self._stopping = intake.stopping

    @property
    def address(self) -> str:
        """Host and port of the broker."""
        return f"{self.host}:{self.settings.mqtt_port}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Which limits of the broker break what we promise, as far as it tells of them."""
        return self._limits + self._granted + self.intake.dropped.warning

    async def run(self) -> None:
        """Stay connected until `stop`."""
        pause = FIRST_RECONNECT_SECONDS
        while not self._stopping.is_set():
            while not await self.intake.has_room_soon():
                self.advance()
            self.advance()
            if await self._connection():
                pause = FIRST_RECONNECT_SECONDS
            if self._stopping.is_set():
                break
            # Jitter, so that many processes do not come back at once.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, MAX_RECONNECT_SECONDS)

    async def stop(self) -> None:
        """End intake: what comes from now on is not acknowledged. Call `disconnect` once the pipeline is drained."""
        self._stopping.set()

    async def disconnect(self) -> None:
        """Leave the broker, keeping the session."""
        client, self._client = self._client, None
        if client is not None:
            await client.leave()
        self.intake.ended.set()
        self._set_connected(False, "stopped")

    async def _connection(self) -> bool:
        """One connection from beginning to end. Returns whether the broker accepted it."""
        client = self._client = self._new_client()
        try:
            await connect(client, self.settings, self._version)
        except (OSError, TimeoutError, MQTTConnectError) as error:
            self._give_up(error)
            await client.leave()
            return False
        except BaseException:
            await client.leave()
            raise
        self._set_connected(True, "")
        self._knows_5 = self._knows_5 or self._version == MQTTv50
        log.info("connected to %s, MQTT %s", self.address, version_name(self._version))
        await self._until_lost(client)
        if client.lost.is_set():
            self.metrics.disconnects.inc()
            self._set_connected(False, "connection lost")
            log.warning("the connection to %s is lost, connecting again", self.address)
            self._client = None
        return True

    async def _until_lost(self, client: BrokerConnection) -> None:
        """Wait until the connection is lost, or until `stop`."""
        ends = [asyncio.ensure_future(event.wait()) for event in (client.lost, self._stopping)]
        try:
            while not any(end.done() for end in ends):
                self.advance()
                await asyncio.wait(ends, timeout=ADVANCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def _new_client(self) -> BrokerConnection:
        client = persistent(self.settings, self._version)
        client.on_message = self.intake.take_other
        client.on_frame = self.on_frame
        client.on_acknowledged = self.intake.count_acknowledged
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _give_up(self, error: Exception) -> None:
        """Note why a connection failed, and try the other version next where that may be the cause."""
        self._client = None
        self._set_connected(False, str(error))
        refused = refusal_code(error) in VERSION_REFUSED
        # Brokers that know no MQTT 5 also just hang up, or wait for the rest of what they take for a longer packet.
        # One that was heard to speak it was only cut off.
        closed = isinstance(error, BrokerSilent) and not self._knows_5
        extra = {"fields": {"error": type(error).__name__}}
        log.warning("cannot connect to %s: %s", self.address, error, extra=extra)
        if self._version == MQTTv50 and (refused or closed):
            log.warning("trying MQTT 3.1.1")
            self._version = MQTTv311
        elif self._version == MQTTv311:
            self._version = MQTTv50

    def _on_connect(self, client: BrokerConnection, flags: int, rc: int, properties: Properties) -> None:
        self._check_limits(client)
        self.refused = ""
        # Also on a session that is there already: the claims may have changed since.
        self._subscribing = client.subscribe(subscriptions(self.topics, is_v5=self._version == MQTTv50))
        # The other form goes after this one is there: frames may come twice in between, but none is missed.
        client.unsubscribe(encoded(self.others))
        client.subscribe(Subscription(DROPPED, qos=0, retain_handling_options=ALWAYS_SEND_RETAINED))

    def _check_limits(self, client: BrokerConnection) -> None:
        limits = of_connack(client.connack, is_v5=self._version == MQTTv50, settings=self.settings)
        for warning in limits:
            if warning not in self._limits:
                log.warning("%s", warning)
        self._limits = limits

    def _on_subscribe(self, client: BrokerConnection, mid: int, granted: Sequence[int], properties: Properties) -> None:
        if mid != self._subscribing:
            return  # $SYS: not every broker has it, and not everyone may read it
        refused = [topic for topic, qos in zip(self.topics, granted, strict=False) if qos >= UNSPECIFIED_ERROR]
        if refused:
            self.refused = f"the broker refuses the subscription to {', '.join(refused)}"
            log.error("%s", self.refused)
        self._granted = of_suback(self.topics, granted)
        for warning in self._granted:
            log.warning("%s", warning)

    def _on_disconnect(self, client: BrokerConnection, packet: bytes, exc: Exception | None = None) -> None:
        if packet and packet[0] == SESSION_TAKEN_OVER:
            log.error("another process connected as %s: each needs an MQTT_CLIENT_ID of its own", client.client_id)

    def _set_connected(self, connected: bool, problem: str) -> None:
        self.connected = connected
        self.problem = problem
        self.metrics.connected.set(connected)
