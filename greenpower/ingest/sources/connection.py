"""One TCP connection: its place, its time-outs, holding it back, and its end. The base of every TCP transport.

What belongs here: what is the same for all protocols. A connection gives its place back however it ends: each call of a
protocol is guarded, and the place is given back where the socket ends. What does not: any byte of a protocol.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from greenpower.ingest.sources.held_clock import HeldClock

if TYPE_CHECKING:
    from greenpower.ingest.sources.admission import Admission

log = logging.getLogger(__name__)

# How long a peer may take to read what we wrote last.
FLUSH_SECONDS = 5.0
# After a hold, what lies in the network is read before a time-out is looked at.
AFTER_HOLD_SECONDS = 0.25
# A timer of the event loop counts milliseconds, so it may be early by that much.
TIMER_SECONDS = 0.001


class Listener(Protocol):
    """What stands behind a connection: a port, or a host that we dial."""

    @property
    def admission(self) -> Admission:
        """Where its end is counted."""

    def admit(self, connection: TcpConnection) -> bool:
        """Give a connection its place, if there is one."""

    def forget(self, connection: TcpConnection) -> None:
        """A connection has ended. May be called again."""


class TcpConnection(asyncio.Protocol):
    """A connection of a listener. A transport overrides `opened`, `received`, `due`, `ended`, and others if needed.

    What these raise ends the connection (`failed`), and nothing else.
    """

    def __init__(self, listener: Listener) -> None:
        self.address = ""
        self.ended_because = ""
        self.listener = listener
        self.handshake: asyncio.Task[Any] | None = None
        self.closed = False
        self.held = False
        self.transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.clock = HeldClock(self._loop.time)
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0  # when the timer fires, by the connection's clock

    def opened(self) -> None:
        """The connection is there, after TLS where that is spoken."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def due(self) -> None:
        """The deadline has come."""

    def finished(self) -> bool:
        """The peer sends nothing more. Returns whether the connection stays open for what we have to say."""
        self.close("ended")
        return False

    def ended(self) -> None:
        """The connection is closed: let go of what stands for it. Called once, if it was opened or not."""

    def flow(self) -> None:
        """Read on, or not: something that decides it has changed."""

    def set_deadline(self, at: float | None) -> None:
        """Call `due` at a time of the connection's clock, which stands still while it is held. None: never.

        Most packets only put the time off. The timer that runs then stays, and looks at the time when it fires.
        """
        self._deadline = at
        if self._timer is None or at is None or at < self._fires_at:
            self._arm(0.0)

    def hold(self) -> None:
        """Read nothing more for now. It is we who are busy, so no time passes for the peer."""
        if self.held or self.closed or self.transport is None:
            return
        self.held = True
        self.transport.pause_reading()
        self.clock.stop()
        self._disarm()

    def resume(self) -> None:
        """Read on."""
        if not self.held or self.closed or self.transport is None:
            return
        self.held = False
        self.clock.start()
        self.transport.resume_reading()
        self._arm(AFTER_HOLD_SECONDS)

    def guarded(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call what a transport does. An error ends the connection. Returns None then, or where it is closed."""
        if self.closed:
            return None
        try:
            return call(*args)
        except Exception:
            log.exception("the connection of %s failed", self.address)
            self.close("failed")
            return None

    def close(self, reason: str, *, flush: bool = False) -> None:
        """End the connection; counted under the reason. flush: let the peer read first what we wrote. Never raises."""
        if self.closed:
            return
        self.closed = True
        self.ended_because = reason
        self.listener.admission.closed.labels(reason).inc()
        self._disarm()
        try:
            self.ended()
        except Exception:
            log.exception("the connection of %s could not be ended in order", self.address)
        if self.transport is None:
            if self.handshake is not None:
                self.handshake.cancel()
        elif flush:
            self.transport.close()
            self._timer = self._loop.call_later(FLUSH_SECONDS, self.transport.abort)
            return  # the place is given back with the socket
        else:
            # abort, not close: what a dead peer has not taken must not keep the socket
            self.transport.abort()
        self.listener.forget(self)

    def admit(self, address: str) -> bool:
        """Take a place. Where there is none, the connection is closed."""
        self.address = address
        if self.listener.admit(self):
            return True
        self.close("refused")
        return False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self.closed:
            self.transport.abort()
            return
        if self.handshake is None:
            peer = transport.get_extra_info("peername")
            if not self.admit(peer[0] if peer else ""):
                return
        self.guarded(self._open)

    def _open(self) -> None:
        assert self.transport is not None
        if (sock := self.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.opened()

    def data_received(self, data: bytes) -> None:
        self.guarded(self.received, data)

    def eof_received(self) -> bool:
        return bool(self.guarded(self.finished))

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.close("lost")
        self.listener.forget(self)

    def _arm(self, soonest: float) -> None:
        self._disarm()
        if self._deadline is not None and not self.held and not self.closed:
            now = self.clock.now()
            wait = max(self._deadline - now, soonest)
            self._fires_at = now + wait
            self._timer = self._loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        """The timer has fired: the deadline has come, or was put off meanwhile."""
        self._timer = None
        if self._deadline is not None and self._deadline - self.clock.now() > TIMER_SECONDS:
            self._arm(0.0)
        else:
            self.guarded(self.due)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
