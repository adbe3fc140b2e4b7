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

# Rounds of one connection that are not stored yet. With as many, nothing more of it is read, until half of them are
# stored: while MongoDB is away, the connection is held back. Enough that a write under way does not stop the questions.
MAX_UNSETTLED_FRAMES = 8
RESUME_AT_FRAMES = MAX_UNSETTLED_FRAMES // 2
# Signs of life of one connection that come closer together are not told one by one.
HEARD_EVERY_SECONDS = 1.0


class GatewayConnection(TcpConnection):
    """One connection of a gateway. Times that the dialogue is given are those of the connection's clock."""

    def __init__(self, listener: TcpListener, source: GatewaySource) -> None:
        super().__init__(listener)
        self.source = source
        self.dialogue: Dialogue | None = None
        self.datatype: DataType | None = None
        self._beginning = b""
        self._told: float | None = None  # the last sign of life that presence knows
        self._unsettled = 0

    @property
    def device_id(self) -> str | None:
        """The gateway, None before it registered."""
        return None if self.dialogue is None else self.dialogue.device_id

    @property
    def topic(self) -> str:
        """The topic of its frames. Its data type must be known."""
        assert self.datatype is not None
        return f"tcp/{self.datatype.name}/{self.device_id}"

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
            self._tell_heard(0.0)

    def note(self, reason: str, detail: str) -> None:
        """Write an event that is no frame, on the gateway's topic."""
        self._submit(self._arrival(self.topic, b"", noted=reason, detail=detail))

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
        if device is not None:
            self._pass_on()
            self._tell_heard(HEARD_EVERY_SECONDS)
            self.set_deadline(dialogue.deadline)

    def _pass_on(self) -> None:
        """Hand over what was heard: notes, and rounds that ended."""
        dialogue = self.dialogue
        if dialogue is None or dialogue.device_id is None:
            return
        for reason, detail, data in dialogue.take_notes():
            self._submit(self._arrival(self.topic, data, noted=reason, detail=detail))
        for payload, came in dialogue.take_frames():
            arrival = self._arrival(self.topic, payload)
            arrival.received_at -= timedelta(seconds=self.clock.age(came))
            self._submit(arrival)

    def _tell_heard(self, apart: float) -> None:
        """Tell presence of the last sign of life, where it is newer than the one told by more than `apart` seconds."""
        dialogue = self.dialogue
        if dialogue is None or dialogue.heard is None or dialogue.device_id is None:
            return
        heard, told = dialogue.heard, self._told
        if told is not None and heard - told <= apart:
            return
        assert self.datatype is not None
        self._told = heard
        heard_at = datetime.now(UTC) - timedelta(seconds=self.clock.age(heard))
        self.source.pipeline.presence.heard(self.datatype.name, dialogue.device_id, heard_at)

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
        if self._unsettled <= RESUME_AT_FRAMES:
            self.resume()
