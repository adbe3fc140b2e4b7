"""One connection that sends lines of JSON: first its token, then frames, each answered in its turn.

    > TOKEN
    < ok
    > {"topic": "site/meter", "payload": {"id": …}}
    < ok                      once its reading and its event are stored
    > {"topic": "nonsense", "payload": 1}
    < error unclaimed-topic

Lines may be sent ahead. A sender is silent while it neither sends nor waits for an answer.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from typing import TYPE_CHECKING

from greenpower.framing.lines import LineFramer, Overlong
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.ingest.sources.lines.message import read_line
from greenpower.ingest.sources.listener import TcpListener
from greenpower.mongo.events.store import Outcome

if TYPE_CHECKING:
    from greenpower.ingest.sources.lines.source import LineSource

# Lines of one connection that are not answered yet. One piece of the stream more may be read.
MAX_UNANSWERED_LINES = 1_000
MAX_TOKEN_BYTES = 1_024
# While the pipeline holds too much, look so often whether there is room.
ROOM_CHECK_SECONDS = 0.05


class LineConnection(TcpConnection):
    """One connection of a sender of lines."""

    def __init__(self, listener: TcpListener, source: LineSource) -> None:
        super().__init__(listener)
        self.source = source
        self._framer = LineFramer(MAX_TOKEN_BYTES)
        self._beginning: bytes | None = b""  # None once the token was right
        self._unanswered: deque[tuple[Arrival, asyncio.Future[None]]] = deque()
        self._said_all = False
        self._room_check: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None  # runs while the sender does not read its answers

    def opened(self) -> None:
        self.set_deadline(self.clock.now() + self.source.registration_seconds)

    def received(self, data: bytes) -> None:
        if self._beginning is None:
            self._take(self._framer.receive(data))
        else:
            self._check_token(data)

    def due(self) -> None:
        self.close("silent" if self._beginning is None else "nameless")

    def finished(self) -> bool:
        """The sender has said all; it gets the answers that it waits for, unless TLS ends with its half."""
        self._said_all = True
        assert self.transport is not None
        if not self._unanswered or self._beginning is not None or self.transport.get_extra_info("ssl_object"):
            self.close("ended", flush=True)
            return False
        return True

    def ended(self) -> None:
        for timer in (self._room_check, self._unread):
            if timer is not None:
                timer.cancel()

    def flow(self) -> None:
        """Read on, or not while there is no room for more."""
        full = self.source.pipeline.batcher.is_full
        if full or len(self._unanswered) >= MAX_UNANSWERED_LINES or self.source.stopping:
            self.hold()
        else:
            self.resume()
        if full and self._room_check is None:
            self._room_check = self._loop.call_later(ROOM_CHECK_SECONDS, self.guarded, self._check_room)

    def pause_writing(self) -> None:
        """The sender does not read its answers: it may not for as long as it may be silent."""
        self._unread = self._loop.call_later(self.source.idle_seconds, self.close, "unread")

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self.guarded(self._answer)

    def _check_room(self) -> None:
        self._room_check = None
        self.flow()

    def _check_token(self, data: bytes) -> None:
        assert self._beginning is not None and self.transport is not None
        self._beginning += data
        lines = self._framer.receive(data)
        if not lines and len(self._beginning) <= MAX_TOKEN_BYTES:
            return
        first = lines[0] if lines else b""
        if not isinstance(first, bytes) or not hmac.compare_digest(first, self.source.token):
            self.transport.write(b"error token\n")
            self.close("bad-token", flush=True)
            return
        self.listener.admission.name(self)
        self.transport.write(b"ok\n")
        # What came behind the token is cut again: the limit of a token is not that of a frame.
        rest, self._beginning = self._beginning.partition(b"\n")[2], None
        self._framer = LineFramer(self.source.max_line_bytes)
        self._take(self._framer.receive(rest))

    def _take(self, lines: list[bytes | Overlong]) -> None:
        for line in lines:
            arrival = read_line(line)
            done = self.source.pipeline.submit(arrival)
            if not self._unanswered or self._unanswered[-1][1] is not done:  # lines of one batch share theirs
                done.add_done_callback(self._settled)
            self._unanswered.append((arrival, done))
        self._wait()

    def _settled(self, _: asyncio.Future[None]) -> None:
        self.guarded(self._answer)

    def _answer(self) -> None:
        """Answer the lines that are settled, in their order, as far as the sender reads its answers."""
        if self._unread is not None:
            return
        assert self.transport is not None
        answers: list[bytes] = []
        while self._unanswered and self._unanswered[0][1].done():
            arrival, done = self._unanswered.popleft()
            done.result()  # a fault of ours: the connection fails, and the line is not acknowledged
            rejected = arrival.outcome == Outcome.REJECTED
            answers.append(f"error {arrival.reason}\n".encode() if rejected else b"ok\n")
        if answers:
            self.transport.write(b"".join(answers))
        if self._said_all and not self._unanswered:
            self.close("ended", flush=True)
        else:
            self._wait()

    def _wait(self) -> None:
        """Now it is the sender's turn, or ours."""
        self.flow()
        self.set_deadline(None if self._unanswered else self.clock.now() + self.source.idle_seconds)
