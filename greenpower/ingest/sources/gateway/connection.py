"""One connection of a gateway: runs the dialogue that the registration packet asks for.

What belongs here: handing bytes, time and frames between the socket, the dialogue and the pipeline. What does not: any
byte of a protocol (the dialogue), sockets and their end (`sources.connection`).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from greenpower.datatype import DataType, Dialogue, FrameError
from greenpower.framing.registration import identify
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.ingest.sources.listener import TcpListener

if TYPE_CHECKING:
    from greenpower.ingest.sources.gateway.source import GatewaySource

# The next round is asked for when the one before it is stored, more or less: while MongoDB is away, the connection is
# held back.
MAX_UNSETTLED_FRAMES = 4


class GatewayConnection(TcpConnection):
    """One connection of a gateway. Times that the dialogue is given are those of the connection's clock."""

    def __init__(self, listener: TcpListener, source: GatewaySource) -> None:
        super().__init__(listener)
        self.source = source
        self.dialogue: Dialogue | None = None
        self.datatype: DataType | None = None
        self._beginning = b""
        self._unsettled = 0

    @property
    def device_id(self) -> str | None:
        """The gateway, None before it registered."""
        return None if self.dialogue is None else self.dialogue.device_id

    def opened(self) -> None:
        self.set_deadline(self.clock.now() + self.source.registration_seconds)

    def received(self, data: bytes) -> None:
        try:
            if self.dialogue is None:
                self._beginning += data
                if not self._choose():
                    return
                data, self._beginning = self._beginning, b""
            assert self.dialogue is not None
            self.dialogue.receive(data, self.clock.now())
        except FrameError as error:
            self._fail(error)
            return
        self._after()

    def due(self) -> None:
        if self.dialogue is None or self.dialogue.device_id is None:
            self.close("nameless")
            return
        try:
            self.dialogue.tick(self.clock.now())
        except FrameError as error:
            self._pass_on()
            self._fail(error)
            return
        self._after()

    def ended(self) -> None:
        self.source.unregister(self)
        if self.dialogue is not None:
            self.dialogue.close()
            self._pass_on()

    def _choose(self) -> bool:
        """Find the dialogue by the registration packet. Returns whether it is known yet."""
        found = identify(self._beginning, self.source.claims)
        if found is None:
            return False
        claim, _ = found
        self.datatype = self.source.claims[claim]
        self.dialogue = claim.dialogue(claim)
        return True

    def _fail(self, error: FrameError) -> None:
        if self.dialogue is None:
            self._submit(self._arrival("tcp", self._beginning, rejected=error.reason, detail=error.detail))
        self.close(error.reason)

    def _after(self) -> None:
        """Pass on what the dialogue has to say after it was called."""
        dialogue = self.dialogue
        assert dialogue is not None and self.transport is not None
        device = dialogue.device_id
        if device is not None and self.source.by_device.get(device) is not self:
            self.source.register(self, device)
        if output := dialogue.take_output():
            self.transport.write(output)
        self._pass_on()
        if device is not None:
            self.set_deadline(dialogue.deadline)

    def _pass_on(self) -> None:
        dialogue, datatype = self.dialogue, self.datatype
        if dialogue is None or datatype is None or dialogue.device_id is None:
            return
        if dialogue.heard is not None:
            heard_at = datetime.now(UTC) - timedelta(seconds=self.clock.age(dialogue.heard))
            self.source.pipeline.presence.heard(datatype.name, dialogue.device_id, heard_at)
        topic = f"tcp/{datatype.name}/{dialogue.device_id}"
        for reason, detail, data in dialogue.take_notes():
            self._submit(self._arrival(topic, data, noted=reason, detail=detail))
        for payload, came in dialogue.take_frames():
            arrival = self._arrival(topic, payload)
            arrival.received_at -= timedelta(seconds=self.clock.age(came))
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
        done = self.source.pipeline.submit(arrival)
        self._unsettled += 1
        done.add_done_callback(self._settled)
        if self._unsettled >= MAX_UNSETTLED_FRAMES:
            self.hold()

    def _settled(self, _: asyncio.Future[None]) -> None:
        self._unsettled -= 1
        if self._unsettled < MAX_UNSETTLED_FRAMES:
            self.resume()
