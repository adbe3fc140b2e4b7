"""HTTP to the gateway with deadlines: a client that does not say what it wants, or takes too long, is disconnected.

What belongs here: how long a client may take until it speaks Socket.IO over a WebSocket. What does not: what is said
then, which python-engineio ends when a ping is not answered, and `gateway` where nobody logs in.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from eventlet import hubs
from eventlet.wsgi import HttpProtocol

# A poll is answered within PING_SECONDS, and then has to be taken.
POLL_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """How long a client may take for the headers and for the body of a request, in seconds, and how many connections
    may be without a whole request."""

    head_seconds: float
    body_seconds: float
    max_waiting: int


class TimedProtocol(HttpProtocol):  # type: ignore[misc]
    """A connection. Make a subclass with `limits` by `timed`."""

    limits: ClassVar[GatewayLimits]
    waiting: ClassVar[dict[TimedProtocol, None]]  # without a whole request, in order of arrival

    def handle(self) -> None:
        self._ended = False
        try:
            super().handle()
        finally:
            self.waiting.pop(self, None)

    def handle_one_request(self) -> None:
        """Read a request and answer it. The time is that of reading its headers; then `handle_one_response` sets it."""
        self.waiting[self] = None
        if len(self.waiting) > self.limits.max_waiting:
            next(iter(self.waiting))._disconnect()
        self._timer = hubs.get_hub().schedule_call_global(self.limits.head_seconds, self._disconnect)
        try:
            super().handle_one_request()
        finally:
            self._timer.cancel()

    def handle_one_response(self) -> None:
        self._timer.cancel()
        self.waiting.pop(self, None)
        if self._ended:  # headers that were cut off are read as if they were whole
            self.close_connection = 1
            return
        seconds = self.limits.body_seconds if self.command == "POST" else POLL_SECONDS
        with contextlib.nullcontext() if self._is_websocket() else self._within(seconds):
            super().handle_one_response()

    def _is_websocket(self) -> bool:
        return bool(self.headers.get("Upgrade", "").lower() == "websocket")

    @contextlib.contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        timer = hubs.get_hub().schedule_call_global(seconds, self._disconnect)
        try:
            yield
        finally:
            timer.cancel()

    def _disconnect(self) -> None:
        """End the connection: its green thread reads an end or gets an error. Runs in the hub; never waits."""
        self._ended = True
        self.waiting.pop(self, None)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def timed(limits: GatewayLimits) -> Any:
    """The protocol with these limits, for one server."""
    return type("LimitedProtocol", (TimedProtocol,), {"limits": limits, "waiting": {}})
