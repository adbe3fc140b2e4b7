"""One push while it goes on: its sender, its body, the frames that were taken from it, and whether all are stored.

What does not belong here: bytes of HTTP (`connection`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from greenpower.framing.lines import Overlong
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.http.access import PushSender
from greenpower.ingest.sources.http.body import PushBody
from greenpower.ingest.sources.http.request import PushHead


@dataclass(frozen=True, slots=True, kw_only=True)
class PushLimits:
    """max_bytes: of a body. max_frame: of a frame, in bytes."""

    max_bytes: int
    max_frame: int


class Push:
    """A push that may be made. Raises PushRefusedError where it says that it is too long."""

    def __init__(self, head: PushHead, sender: PushSender, limits: PushLimits) -> None:
        self.head = head
        self.sender = sender
        self.body = PushBody(head, max_bytes=limits.max_bytes, max_frame=limits.max_frame)
        self.arrivals: list[Arrival] = []
        self.ended = False
        self._stored: list[asyncio.Future[None]] = []

    def arrival(self, piece: bytes | Overlong, now: datetime) -> Arrival:
        """The frame that a piece of the body is."""
        sender = self.sender
        arrival = Arrival(
            topic=sender.claim.topic,
            payload=piece if isinstance(piece, bytes) else b"",
            received_at=now,
            source="http",
            dup=self.head.redelivered,
            device=sender.device,
            datatype=sender.datatype,
            key=sender.key.id,
            allowed=sender.allowed,
        )
        if isinstance(piece, Overlong):
            arrival.rejected, arrival.detail = "too-large", f"{piece.length} bytes"
            arrival.raw = {"size": piece.length, "sha256": piece.digest, "raw": piece.head.decode("utf-8", "replace")}
        return arrival

    def add(self, arrival: Arrival, done: asyncio.Future[None]) -> bool:
        """Note a frame that was taken. Returns whether `done` is a new one: frames of one batch share theirs."""
        self.arrivals.append(arrival)
        if self._stored and self._stored[-1] is done:
            return False
        self._stored.append(done)
        return True

    @property
    def is_settled(self) -> bool:
        """Whether all of it has come, and nothing of it is in work."""
        return self.ended and all(done.done() for done in self._stored)

    @property
    def is_stored(self) -> bool:
        """Whether all that was taken is stored for good. False where that was given up, or failed."""
        return all(not done.cancelled() and done.exception() is None for done in self._stored)
