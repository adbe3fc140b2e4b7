"""One connection to the broker: a gmqtt client that is never used for a second one, and making it connect.

A gmqtt client that reconnects by itself would acknowledge a frame of the old connection on the new one, under a packet
id that may by then name another frame. So each connection has a client of its own, which only ever speaks to the
connection that it was made with. When to connect again is not decided here (`mqtt`).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv50
from gmqtt.mqtt.handler import MQTTConnectError

from greenpower.config import Settings

NEVER = 0xFFFFFFFF
KEEPALIVE = 30
CONNECT_SECONDS = 5.0
# Type and length, then the packet id; without a reason code it is success, in MQTT 5 too.
PUBACK, PUBACK_HEAD = struct.Struct("!HH"), 0x4002

Topic = str | bytes  # bytes where it is no UTF-8


class BrokerSilent(OSError):
    """There is a connection, but no answer to our CONNECT."""


class Connection(Client):  # type: ignore[misc]  # gmqtt has no types
    """A client for one connection: where gmqtt would reconnect, it says that the connection is lost.

    on_frame: takes each frame of QoS 1 (its properties have `dup` and `retain`) and returns what must have ended well
    before it is acknowledged, None where it shall not be. Frames that wait for the same are acknowledged in one write;
    gmqtt would make a task and a write for each. on_acknowledged: told how many were, and how many no more could be.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lost = asyncio.Event()
        self.held_back = False
        self.noisy = False  # whether it was said that the broker sends too much
        self.on_frame: Callable[[Connection, Topic, bytes, dict[str, Any]], asyncio.Future[None] | None] = _keep_nothing
        self.on_acknowledged: Callable[[int, int], None] = lambda sent, unsent: None
        self._waiting: dict[asyncio.Future[None], list[int]] = {}
        super().__init__(*args, **kwargs)
        self._package_handler._handle_qos_1_publish_packet = self._take

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

    def _take(self, packet_id: int, payload: bytes, topic: Topic, properties: dict[str, Any]) -> None:
        done = self.on_frame(self, topic, payload, properties)
        if done is None:
            return
        waiting = self._waiting.get(done)
        if waiting is None:
            waiting = self._waiting[done] = []
            done.add_done_callback(self._acknowledge)
        waiting.append(packet_id)

    def _acknowledge(self, done: asyncio.Future[None]) -> None:
        packet_ids = self._waiting.pop(done)
        if done.cancelled() or done.exception() is not None:
            return
        # Of a lost connection nothing is sent: the broker delivers the frame again, and it is a duplicate then.
        if self.lost.is_set() or self._connection.is_closing():
            self.on_acknowledged(0, len(packet_ids))
        else:
            self._connection.send_package(b"".join([PUBACK.pack(PUBACK_HEAD, packet_id) for packet_id in packet_ids]))
            self.on_acknowledged(len(packet_ids), 0)

    async def reconnect(self, delay: bool = False) -> None:
        """Called by gmqtt when the connection ended or was refused."""
        self.lost.set()

    @property
    def connack(self) -> dict[str, list[Any]]:
        """The properties of the broker's CONNACK alone: gmqtt hands out ours in their place."""
        found: dict[str, list[Any]] = self._package_handler._connack_properties
        return found

    async def leave(self) -> None:
        """Disconnect, whatever state it is in."""
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.disconnect(), CONNECT_SECONDS)


def _keep_nothing(client: Connection, topic: Topic, payload: bytes, properties: dict[str, Any]) -> None:
    return None


def persistent(settings: Settings, version: int) -> Connection:
    """A client for a session that the broker keeps, and that acknowledges a frame when its handler says so."""
    properties: dict[str, Any] = {}
    if version == MQTTv50:
        properties = {"session_expiry_interval": NEVER, "receive_maximum": settings.mqtt_receive_maximum}
    client = Connection(settings.mqtt_client_id, clean_session=False, optimistic_acknowledgement=False, **properties)
    _authenticate(client, settings)
    return client


def fleeting(settings: Settings) -> Connection:
    """A client of the same name that ends the session: the broker forgets it at once, and this one when it leaves."""
    client = Connection(settings.mqtt_client_id, clean_session=True)
    _authenticate(client, settings)
    return client


def _authenticate(client: Connection, settings: Settings) -> None:
    if settings.mqtt_username:
        client.set_auth_credentials(settings.mqtt_username, settings.mqtt_password.get_secret_value() or None)


async def connect(client: Connection, settings: Settings, version: int) -> None:
    """Connect. Raises OSError (BrokerSilent among them) or MQTTConnectError; the caller then lets the client leave."""
    connecting = asyncio.ensure_future(
        client.connect(
            settings.need("MQTT_BROKER"),
            settings.mqtt_port,
            ssl=_tls(settings) or False,
            keepalive=KEEPALIVE,
            version=version,
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


def version_name(version: int) -> str:
    """The version of MQTT as people write it."""
    return "5" if version == MQTTv50 else "3.1.1"


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.mqtt_tls:
        return None
    context = ssl.create_default_context(cafile=settings.mqtt_tls_ca)
    if settings.mqtt_tls_cert is not None:
        context.load_cert_chain(settings.mqtt_tls_cert, settings.mqtt_tls_key)
    return context
