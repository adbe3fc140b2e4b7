"""One connection over which frames are pushed: HTTP/1.1, one request after another, each answered once its frames are
stored.

    checking    its head has come, and its key is looked up; nothing more is read
    taking      its body comes; each frame goes on at once, so that a long body needs no memory
    waiting     all frames were taken; nothing more is read until they are stored and it is answered
    draining    it was refused; what its sender still writes is thrown away, so that the answer can be read

What does not belong here: what a head says (`request`), whether it may (`access`), the text of the answer (`answer`).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import h11
import orjson
from bson import ObjectId

from greenpower.framing.lines import Overlong
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.ingest.sources.http.answer import problem_document, push_answer
from greenpower.ingest.sources.http.push import Push
from greenpower.ingest.sources.http.request import PushRefusedError, read_head
from greenpower.ingest.sources.listener import TcpListener

if TYPE_CHECKING:
    from greenpower.ingest.sources.http.source import PushSource

MAX_HEAD_BYTES = 32 * 1024
# While the pipeline holds too much, look so often whether there is room.
ROOM_CHECK_SECONDS = 0.05
# Of a refused push.
MAX_DRAINED_BYTES = 64 * 1024 * 1024
DRAINING_SECONDS = 10.0
RETRY_SECONDS = 5
NOT_STORED = "The frames are not stored. Send them again: what is stored meanwhile is stored once."


class PushConnection(TcpConnection):
    """One connection of a sender."""

    def __init__(self, listener: TcpListener, source: PushSource) -> None:
        super().__init__(listener)
        self.source = source
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._push: Push | None = None
        self._check: asyncio.Task[None] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._room_check: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None  # runs while the sender does not read its answers
        self._key_id: ObjectId | None = None
        self._busy = False
        self._said_all = False
        self._drained: int | None = None  # bytes, once it is refused

    def opened(self) -> None:
        self._expect()

    def received(self, data: bytes) -> None:
        if self._drained is not None:
            self._drained += len(data)
            if self._drained > MAX_DRAINED_BYTES:
                self.close("refused-push")
            return
        self._http.receive_data(data)
        self._step()

    def due(self) -> None:
        self.close("refused-push" if self._drained is not None else "silent" if self._push is None else "slow")

    def finished(self) -> bool:
        """The sender says nothing more; it gets the answer that it waits for."""
        if self._busy:
            self._said_all = True
            return True
        self.close("ended", flush=True)
        return False

    def ended(self) -> None:
        self._push = None
        if self._check is not None:
            self._check.cancel()
        for timer in (self._late, self._room_check, self._unread):
            if timer is not None:
                timer.cancel()
        if self._key_id is not None:
            self.source.access.disconnect(self._key_id)
            self._key_id = None

    def flow(self) -> None:
        """Read on, or not while there is no room for more, or while this push is worked on."""
        full = self.source.pipeline.batcher.is_full
        if full or self._busy or self._unread is not None or self.source.stopping:
            self.hold()
        else:
            self.resume()
        if full and self._room_check is None:
            self._room_check = self._loop.call_later(ROOM_CHECK_SECONDS, self.guarded, self._look_for_room)

    def pause_writing(self) -> None:
        """The sender does not read its answers: it gets no further ones."""
        self._unread = self._loop.call_later(self.source.request_seconds, self.close, "unread")

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self.guarded(self._step)

    def _look_for_room(self) -> None:
        self._room_check = None
        self.flow()

    def _expect(self) -> None:
        self.set_deadline(self.clock.now() + self.source.request_seconds)

    def _step(self) -> None:
        """Go on with what has come."""
        try:
            while not (self.closed or self._busy or self._unread is not None or self._drained is not None):
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                self._take(event)
        except PushRefusedError as refused:
            self._refuse(refused)
        except h11.RemoteProtocolError as error:
            self._refuse(PushRefusedError(error.error_status_hint, f"This is no HTTP request: {error}"))
        if not self.closed:
            self.flow()

    def _take(self, event: Any) -> None:
        if isinstance(event, h11.Request):
            self._expect()
            self._busy = True
            self._check = self._loop.create_task(self._check_head(event))
        elif isinstance(event, h11.Data):
            assert self._push is not None
            self._submit(self._push, self._push.body.feed(event.data))
        elif isinstance(event, h11.EndOfMessage):
            assert self._push is not None
            self._end(self._push)
        elif isinstance(event, h11.ConnectionClosed):
            self.close("ended", flush=True)

    async def _check_head(self, request: h11.Request) -> None:
        """Find out whose push it is. Runs beside; nothing is read meanwhile."""
        try:
            head = read_head(request)
            sender = await self.source.access.check(head, self.source.address_of(self.address, head))
            push = Push(head, sender, self.source.limits)
            self._use(sender.key.id)
        except PushRefusedError as refused:
            self.guarded(self._refuse, refused)
        except Exception as error:
            self.guarded(self._fail, error)
        else:
            self.guarded(self._begin, push)

    def _use(self, key_id: ObjectId) -> None:
        """Note with which key this connection pushes now. Raises PushRefusedError."""
        if key_id != self._key_id and not self.closed:
            self.source.access.connect(key_id)
            if self._key_id is not None:
                self.source.access.disconnect(self._key_id)
            self._key_id = key_id

    def _begin(self, push: Push) -> None:
        self._push = push
        self.listener.admission.name(self)
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[]))
        self._busy = False
        self._step()

    def _submit(self, push: Push, pieces: list[bytes | Overlong]) -> None:
        for piece in pieces:
            arrival = push.arrival(piece, datetime.now(UTC))
            done = self.source.pipeline.submit(arrival)
            if push.add(arrival, done):
                done.add_done_callback(lambda _: self._settled(push))
        if pieces:
            self.source.access.frames.take(push.sender.key.id, len(pieces))

    def _end(self, push: Push) -> None:
        self._submit(push, push.body.end())
        if not push.arrivals:
            raise PushRefusedError(422, "The body is empty: there is no frame.")
        push.ended = True
        self._busy = True
        self.set_deadline(None)
        self._late = self._loop.call_later(self.source.answer_seconds, self.guarded, self._give_up, push)
        # Not from here: many requests that are settled at once would go ever deeper.
        self._loop.call_soon(self._settled, push)

    def _settled(self, push: Push) -> None:
        self.guarded(self._answer, push)

    def _answer(self, push: Push) -> None:
        if push is not self._push or not push.is_settled:
            return
        self._push = None
        if push.is_stored:
            self._respond(*push_answer(push.arrivals))
        else:
            self._respond(503, problem_document(503, NOT_STORED), retry_after=RETRY_SECONDS)

    def _give_up(self, push: Push) -> None:
        """Not stored in time. It may be yet; sent again, it is stored once."""
        if push is self._push:
            self._push = None
            self._respond(503, problem_document(503, NOT_STORED), retry_after=RETRY_SECONDS)

    def _fail(self, error: Exception) -> None:
        raise error

    def _refuse(self, refused: PushRefusedError) -> None:
        """Answer that a push is not taken, and close: what still comes of it would be taken for the next."""
        self._push = None
        self._busy = False
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.close("refused-push")
            return
        unread = self._http.their_state is h11.SEND_BODY
        document = problem_document(refused.status, refused.message)
        self._send(refused.status, document, retry_after=refused.retry_after, last=True)
        if not unread:
            self.close("refused-push", flush=True)
            return
        # Closed now, what its sender has written would reset the connection, and the answer with it.
        self._drained = 0
        self.set_deadline(self.clock.now() + DRAINING_SECONDS)
        self.resume()

    def _respond(self, status: int, document: dict[str, Any], *, retry_after: int = 0) -> None:
        if self._late is not None:
            self._late.cancel()
        self._send(status, document, retry_after=retry_after, last=self.source.stopping or self._said_all)
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self.close("ended", flush=True)
            return
        self._http.start_next_cycle()
        self._busy = False
        self._expect()
        self._step()

    def _send(self, status: int, document: dict[str, Any], *, retry_after: int, last: bool) -> None:
        body = orjson.dumps(document)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        if retry_after:
            headers.append(("Retry-After", str(retry_after)))
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        if last:
            headers.append(("Connection", "close"))
        self.source.answered.labels(str(status)).inc()
        self._write(h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())

    def _write(self, *events: Any) -> None:
        assert self.transport is not None
        self.transport.write(b"".join(self._http.send(event) or b"" for event in events))
