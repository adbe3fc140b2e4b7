"""One connection to the API as the worker's loop sees it: what it waits for, and until when.

What belongs here: the state of a connection and the limits it is held to. What does not: what moves it from one state
to the next (`worker`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from gunicorn.workers.gthread import TConn

from greenpower.api.http.client_socket import ClientSocket
from greenpower.api.http.request_buffer import RequestBuffer


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How long a client may take, in seconds. A client that takes fewer than `answer_rate` bytes per second of its
    answer, over `answer_seconds`, is given up. max_body: bytes of a request's body that are waited for; allowance: says
    it by the head of a request."""

    head_seconds: float
    body_seconds: float
    answer_seconds: float
    answer_rate: float
    max_body: int
    allowance: Callable[[bytes], int] | None = None


class Stage(Enum):
    """What a connection is at, in the order in which they are given up where there are too many."""

    LINGERING = auto()  # all is sent; the client has yet to close
    IDLE = auto()  # kept alive, without a byte of a request
    HEAD = auto()
    BODY = auto()
    SENDING = auto()  # answered; the client has yet to take it
    SERVED = auto()  # a thread is at it, or will be
    CLOSED = auto()


class HttpConnection(TConn):  # type: ignore[misc]
    """A connection. deadline: monotonic time at which its stage is over; 0 for none. `kept`: goes on after its answer.

    ends: the addresses of the client and of the server. `watched`: the event of its socket that the loop waits for, 0
    for none.
    """

    sock: ClientSocket

    def __init__(
        self,
        cfg: Any,
        raw: socket.socket,
        ends: tuple[Any, Any],
        limits: ConnectionLimits,
        wake: Callable[[HttpConnection], None],
    ) -> None:
        self.raw = raw
        self.limits = limits
        client, server = ends
        super().__init__(cfg, ClientSocket(raw, lambda: wake(self)), client, server)
        self.request = RequestBuffer(limits.max_body, limits.allowance)
        self.stage = Stage.HEAD
        self.deadline = 0.0
        self.watched = 0
        self.kept = False
        self.drained = 0
        self._window_ends = 0.0
        self._taken_before = 0

    @property
    def held_bytes(self) -> int:
        """What it keeps in memory."""
        return self.sock.unsent + len(self.request)

    def give_to_parser(self) -> None:
        """Let gunicorn's parser have the request. In a thread."""
        self.init()
        self.parser.unreader.unread(self.request.take())

    def next_request(self) -> None:
        """Begin the next request, with what a client has sent of it already."""
        self.request = RequestBuffer(self.limits.max_body, self.limits.allowance)
        if rest := self.parser.unreader.take_buffered():
            self.request.feed(rest)

    def is_too_slow(self, now: float) -> bool:
        """Whether the client takes its answer too slowly. Asked now and then while there is something to take."""
        if not self.sock.unsent:
            self._window_ends = 0.0
            return False
        if self._window_ends and now >= self._window_ends:
            if self.sock.taken - self._taken_before < self.limits.answer_rate * self.limits.answer_seconds:
                return True
            self._window_ends = 0.0
        if not self._window_ends:
            self._window_ends, self._taken_before = now + self.limits.answer_seconds, self.sock.taken
        return False
