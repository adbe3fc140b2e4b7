"""TCP gateways: a server that runs the dialogue which the registration packet asks for.

What belongs here: sockets, timers, which connection stands for a gateway. What does not: any byte of a protocol, that
is the dialogue's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import cast

from greenpower.catalog.registry import Registry
from greenpower.config import ConfigError, Settings
from greenpower.datatype import DataType, Dialogue, FrameError
from greenpower.framing.registration import identify
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.tls import Entrance, Listener

log = logging.getLogger(__name__)

# A round is asked for when the one before it is stored, more or less: while MongoDB is away a connection is not read.
MOST_UNSETTLED = 4


class Gateways:
    """The server for gateways. One an ingest process."""

    def __init__(self, *, settings: Settings, registry: Registry, pipeline: Pipeline, admission: Admission) -> None:
        self.host, self.port = settings.tcp_host, settings.tcp_port
        self.registration_seconds = settings.tcp_registration_seconds
        self.pipeline = pipeline
        self.metrics = pipeline.metrics
        self.admission = admission
        self.entrance = Entrance(settings, "gateways", admission)
        self.claims = {claim: datatype for datatype, claim in registry.gateways}
        self.by_device: dict[str, GatewayConnection] = {}
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigError where the port is taken."""
        try:
            self._listener = await self.entrance.listen(lambda: GatewayConnection(self), self.host, self.port)
        except OSError as error:
            raise ConfigError(f"TCP_PORT: cannot listen on {self.host}:{self.port}: {error.strerror}") from None
        self.port = self._listener.port

    def stop(self) -> None:
        """Listen no more, and end every connection."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.by_device.values()):
            connection.close("stopping")

    def register(self, connection: GatewayConnection, device: str) -> None:
        """A connection has said which gateway it is. An older one of the same gateway is a dead entry in some NAT."""
        older = self.by_device.get(device)
        self.by_device[device] = connection
        if older is not None:
            older.close("replaced")
        self.admission.name(connection)

    def unregister(self, connection: GatewayConnection) -> None:
        """A connection has ended."""
        device = connection.device_id
        if device is not None and self.by_device.get(device) is connection:
            del self.by_device[device]


class GatewayConnection(asyncio.Protocol):
    """One connection of a gateway."""

    def __init__(self, server: Gateways) -> None:
        self.server = server
        self.address = ""
        self.dialogue: Dialogue | None = None
        self.datatype: DataType | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beginning = b""
        self._unsettled = 0
        self._closed = False

    @property
    def device_id(self) -> str | None:
        """The gateway, None before it registered."""
        return None if self.dialogue is None else self.dialogue.device_id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not self.server.admission.enter(self):
            self.close("refused")
            return
        self._timer = self._loop.call_later(self.server.registration_seconds, self.close, "nameless")

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        now = self._loop.time()
        try:
            if self.dialogue is None:
                self._beginning += data
                if not self._choose():
                    return
                data, self._beginning = self._beginning, b""
            assert self.dialogue is not None
            self.dialogue.receive(data, now)
        except FrameError as error:
            self._fail(error)
            return
        self._after(now)

    def _choose(self) -> bool:
        """Find the dialogue by the registration packet; whether it is known yet."""
        found = identify(self._beginning, self.server.claims)
        if found is None:
            return False
        claim, _ = found
        self.datatype = self.server.claims[claim]
        self.dialogue = claim.dialogue(claim)
        return True

    def _fail(self, error: FrameError) -> None:
        if self.dialogue is None:
            self._submit(self._arrival("tcp", self._beginning, rejected=error.reason, detail=error.detail))
        self.close(error.reason)

    def _after(self, now: float) -> None:
        """Pass on what the dialogue has to say after it was called."""
        dialogue = self.dialogue
        assert dialogue is not None and self._transport is not None
        device = dialogue.device_id
        if device is not None and self.server.by_device.get(device) is not self:
            self.server.register(self, device)
        if output := dialogue.take_output():
            self._transport.write(output)
        self._pass_on(now)
        self._set_timer(dialogue.deadline)

    def _pass_on(self, now: float) -> None:
        dialogue, datatype = self.dialogue, self.datatype
        if dialogue is None or datatype is None or dialogue.device_id is None:
            return
        if dialogue.heard is not None:
            heard_at = datetime.now(UTC) - timedelta(seconds=max(0.0, now - dialogue.heard))
            self.server.pipeline.presence.heard(datatype.name, dialogue.device_id, heard_at)
        topic = f"tcp/{datatype.name}/{dialogue.device_id}"
        for reason, detail, data in dialogue.take_notes():
            self._submit(self._arrival(topic, data, noted=reason, detail=detail))
        for payload, came in dialogue.take_frames():
            arrival = self._arrival(topic, payload)
            arrival.received_at -= timedelta(seconds=max(0.0, now - came))
            self._submit(arrival)

    def _arrival(self, topic: str, payload: bytes, *, noted: str = "", rejected: str = "", detail: str = "") -> Arrival:
        return Arrival(
            topic=topic,
            payload=payload,
            received_at=datetime.now(UTC),
            source="tcp",
            device=self.device_id,
            datatype=self.datatype,
            noted=noted,
            rejected=rejected,
            detail=detail,
        )

    def _submit(self, arrival: Arrival) -> None:
        self._unsettled += 1
        self.server.pipeline.submit(arrival).add_done_callback(self._settled)
        if self._unsettled == MOST_UNSETTLED and self._transport is not None and not self._closed:
            self._transport.pause_reading()

    def _settled(self, _: asyncio.Future[None]) -> None:
        self._unsettled -= 1
        if self._unsettled == MOST_UNSETTLED - 1 and self._transport is not None and not self._closed:
            self._transport.resume_reading()
            if self.dialogue is not None:
                self._set_timer(self.dialogue.deadline)

    def _set_timer(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # A connection that we do not read cannot be blamed for its silence.
        if deadline is not None and not self._closed and self._unsettled < MOST_UNSETTLED:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        assert self.dialogue is not None
        now = self._loop.time()
        try:
            self.dialogue.tick(now)
        except FrameError as error:
            self._pass_on(now)
            self._fail(error)
            return
        self._after(now)

    def close(self, reason: str) -> None:
        """End the connection; counted under the reason."""
        if self._closed:
            return
        self._closed = True
        self.server.metrics.tcp_closed.labels(reason).inc()
        if self._timer is not None:
            self._timer.cancel()
        if self.dialogue is not None:
            self.dialogue.close()
            self._pass_on(self._loop.time())
        self.server.unregister(self)
        self.server.admission.leave(self)
        if self._transport is not None:
            # abort, not close: what a dead peer has not taken must not keep the socket
            self._transport.abort()

    def eof_received(self) -> bool:
        self.close("ended")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        with suppress(Exception):
            self.close("lost")
