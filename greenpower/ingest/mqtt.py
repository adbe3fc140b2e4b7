"""MQTT: one persistent session, a fresh client for each connection, acknowledgements held until frames are stored.

A gmqtt client that reconnects by itself would acknowledge a frame of the old connection on the new one, under a packet
id that may by then name another frame. So each connection has a client of its own, which only ever speaks to the
connection that it was made with, and reconnecting is done here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from gmqtt import Client, Subscription
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.mqtt.handler import MQTTConnectError

from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline

log = logging.getLogger(__name__)

NEVER = 0xFFFFFFFF
KEEPALIVE = 30
CONNECT_SECONDS = 5.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
# Refusals that name the protocol version: 3.1.1's code and MQTT 5's.
VERSION_REFUSED = frozenset({1, 132})
DO_NOT_SEND_RETAINED = 2
GROUP = "$share/greenpower/"
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


class BrokerSilent(OSError):
    """There is a connection, but no answer to our CONNECT."""


class Connection(Client):  # type: ignore[misc]  # gmqtt has no types
    """A client for one connection: where gmqtt would reconnect, it says that the connection is lost."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lost = asyncio.Event()
        self.held_back = False
        self.noisy = False  # whether it was said that the broker sends too much
        super().__init__(*args, **kwargs)

    def hold_back(self, hold: bool) -> None:
        """Read nothing more from the broker, or read on; nothing where the connection is closed."""
        if self._connection is None or self._connection.is_closing():
            return
        transport, protocol = self._connection._transport, self._connection._protocol
        if hold:
            transport.pause_reading()
            # gmqtt's stream reader would read on once it has handed on what it has, if it remembers that it paused too.
            protocol._hard_reader._paused = False
        elif self.held_back:
            transport.resume_reading()
        self.held_back = hold

    async def reconnect(self, delay: bool = False) -> None:
        """Called by gmqtt when the connection ended or was refused."""
        self.lost.set()


class MqttSource:
    """Feeds a pipeline from a broker until it is stopped."""

    def __init__(self, *, settings: Settings, topics: Sequence[str], pipeline: Pipeline) -> None:
        self.host = settings.need("MQTT_BROKER")
        self.settings = settings
        self.pipeline = pipeline
        self.metrics = pipeline.metrics
        prefix = GROUP if settings.mqtt_shared else ""
        self.topics = tuple(prefix + topic for topic in topics)
        self.window = settings.mqtt_receive_maximum
        self.connected = False
        self.problem = "not connected yet"
        self._version: int = MQTTv50
        self._knows_5 = False
        self._client: Connection | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

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
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(client.disconnect(), CONNECT_SECONDS)
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
            await self._connect(client)
        except (OSError, TimeoutError, MQTTConnectError) as error:
            self._give_up(client, error)
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(client.disconnect(), CONNECT_SECONDS)
            return False
        self._set_connected(True, "")
        self._knows_5 = self._knows_5 or self._version == MQTTv50
        log.info("connected to %s:%d, MQTT %s", self.host, self.settings.mqtt_port, _name(self._version))
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
        properties: dict[str, Any] = {}
        if self._version == MQTTv50:
            properties = {"session_expiry_interval": NEVER, "receive_maximum": self.window}
        client = Connection(
            self.settings.mqtt_client_id, clean_session=False, optimistic_acknowledgement=False, **properties
        )
        if self.settings.mqtt_username:
            client.set_auth_credentials(
                self.settings.mqtt_username, self.settings.mqtt_password.get_secret_value() or None
            )
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    async def _connect(self, client: Connection) -> None:
        connecting = asyncio.ensure_future(
            client.connect(
                self.host,
                self.settings.mqtt_port,
                ssl=_tls(self.settings) or False,
                keepalive=KEEPALIVE,
                version=self._version,
            )
        )
        lost = asyncio.ensure_future(client.lost.wait())
        try:
            await asyncio.wait({connecting, lost}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                await connecting
                return
            if not client.lost.is_set():
                raise BrokerSilent(f"no answer in {CONNECT_SECONDS:.0f} s")
            raise BrokerSilent("the broker closed the connection")
        finally:
            for task in (connecting, lost):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError, MQTTConnectError):
                    await task

    def _give_up(self, client: Connection, error: Exception) -> None:
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
        # Also on a session that is there already: the claims may have changed since.
        retained = DO_NOT_SEND_RETAINED if self._version == MQTTv50 else 0
        client.subscribe([Subscription(topic, qos=1, retain_handling_options=retained) for topic in self.topics])

    def _on_subscribe(self, client: Connection, mid: int, granted: Sequence[int], properties: dict[str, Any]) -> None:
        refused = [topic for topic, qos in zip(self.topics, granted, strict=False) if qos >= UNSPECIFIED_ERROR]
        if refused:
            self.problem = f"the broker refuses the subscription to {', '.join(refused)}"
            log.error("%s", self.problem)

    def _on_disconnect(self, client: Connection, packet: bytes, exc: Exception | None = None) -> None:
        if packet and packet[0] == SESSION_TAKEN_OVER:
            log.error("another process connected as %s: each needs an MQTT_CLIENT_ID of its own", client._client_id)

    async def _on_message(
        self, client: Connection, topic: str | bytes, payload: bytes, qos: int, properties: dict[str, Any]
    ) -> int:
        """Take a frame. gmqtt acknowledges when this returns, on the connection of `client`."""
        if self._stopping.is_set():
            # Unacknowledged, it comes again to the next process: nothing can be sent once the connection is closed.
            await self._ended.wait()
            return SUCCESS
        if qos == 0 and self.pipeline.batcher.pending > WINDOWS_HELD * self.window:
            self.metrics.overflow.inc()
            return SUCCESS
        if self.pipeline.batcher.is_full and not client.lost.is_set():
            # Long frames, and MongoDB away: leave the rest at the broker until there is room again.
            log.warning("%d bytes held, leaving the broker for a while", self.pipeline.batcher.pending_bytes)
            client.lost.set()
            await client.disconnect()
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
        await done
        # Of a lost connection gmqtt sends nothing: the broker delivers the frame again, and it is a duplicate then.
        (self.metrics.unacknowledged if client.lost.is_set() else self.metrics.acknowledged).inc()
        return SUCCESS

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

    def _set_connected(self, connected: bool, problem: str) -> None:
        self.connected = connected
        self.problem = problem
        self.metrics.connected.set(connected)


def _name(version: int) -> str:
    return "5" if version == MQTTv50 else "3.1.1"


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.mqtt_tls:
        return None
    context = ssl.create_default_context(cafile=settings.mqtt_tls_ca)
    if settings.mqtt_tls_cert is not None:
        context.load_cert_chain(settings.mqtt_tls_cert, settings.mqtt_tls_key)
    return context
