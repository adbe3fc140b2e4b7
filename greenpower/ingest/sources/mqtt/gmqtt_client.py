"""gmqtt, as we use it: the only module that imports gmqtt, and the only one that touches what is private in it.

What belongs here: clients, each of a single connection. What does not: the settings that they connect with (`connect`),
when to connect again (`session`, `simulator.publisher`), what is done with a frame (`intake`).

A gmqtt client that reconnects by itself would acknowledge a frame of the old connection on the new one, under a packet
id that may by then name another frame. So each connection has a client of its own, which only ever speaks to the
connection that it was made with. tests/ingest/sources/test_gmqtt_client.py fails where another version of gmqtt behaves
differently.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gmqtt import Client, Subscription
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.mqtt.handler import MQTTConnectError, MQTTError
from gmqtt.storage import PersistentStorage

__all__ = [
    "BrokerConnection",
    "MQTTConnectError",
    "MQTTError",
    "MQTTv50",
    "MQTTv311",
    "OnFrame",
    "PersistentStorage",
    "Properties",
    "SingleConnection",
    "Subscription",
    "Topic",
    "refusal_code",
]

LEAVE_SECONDS = 5.0
# Type and length, then the packet id; without a reason code it is success, in MQTT 5 too.
PUBACK, PUBACK_HEAD = struct.Struct("!HH"), 0x4002

Topic = str | bytes  # bytes where it is no UTF-8
Properties = dict[str, Any]


class SingleConnection(Client):  # type: ignore[misc]  # gmqtt has no types
    """A client for one connection: where gmqtt would reconnect, it says that the connection is lost."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lost = asyncio.Event()
        super().__init__(*args, **kwargs)

    @property
    def client_id(self) -> str:
        """The id that it connects under."""
        found: str = self._client_id
        return found

    async def reconnect(self, delay: bool = False) -> None:
        """Called by gmqtt when the connection ended or was refused."""
        self.lost.set()

    async def leave(self, timeout: float = LEAVE_SECONDS) -> None:
        """Disconnect, whatever state it is in."""
        with suppress(OSError, TimeoutError, AttributeError):
            await asyncio.wait_for(self.disconnect(), timeout)


class BrokerConnection(SingleConnection):
    """A connection whose frames are acknowledged when they are stored.

    on_frame: takes each frame of QoS 1 (its properties have `dup`, `retain` and `packet`, the packet id) and returns
    what must have ended well before it is acknowledged, None where it must not be. Frames that wait for the same are
    acknowledged in one write; gmqtt would make a task and a write for each. on_acknowledged: told how many were, and
    how many no more could be.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.held_back = False
        self.noisy = False  # whether it was said that the broker sends too much
        self.on_frame: OnFrame = _keep_nothing
        self.on_acknowledged: Callable[[int, int], None] = lambda sent, unsent: None
        self._waiting: dict[asyncio.Future[None], list[int]] = {}
        super().__init__(*args, **kwargs)
        self._package_handler._handle_qos_1_publish_packet = self._take

    def hold_back(self, hold: bool) -> None:
        """Read nothing more from the broker, or read on; nothing where the connection is closed.

        Call it at least twice per minute while it is held back: gmqtt closes a connection on which it reads nothing.
        """
        if self._connection is None or self._connection.is_closing():
            return
        transport, protocol = self._connection._transport, self._connection._protocol
        if hold:
            transport.pause_reading()
            # gmqtt's stream reader would read on once it has handed on what it has, if it remembers that it paused too.
            protocol._hard_reader._paused = False
            self._connection._last_data_in = time.monotonic()
        elif self.held_back:
            transport.resume_reading()
        self.held_back = hold

    def _take(self, packet_id: int, payload: bytes, topic: Topic, properties: dict[str, Any]) -> None:
        properties["packet"] = packet_id
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

    @property
    def connack(self) -> dict[str, list[Any]]:
        """The properties of the broker's CONNACK alone: gmqtt hands out ours in their place."""
        found: dict[str, list[Any]] = self._package_handler._connack_properties
        return found


OnFrame = Callable[[BrokerConnection, Topic, bytes, Properties], asyncio.Future[None] | None]


def _keep_nothing(client: BrokerConnection, topic: Topic, payload: bytes, properties: dict[str, Any]) -> None:
    return None


def refusal_code(error: Exception) -> int | None:
    """The code with which the broker refused a connection; None where it did not."""
    return error._code if isinstance(error, MQTTConnectError) else None
