"""The socket of a client, as gunicorn's threads see it: nothing they do waits for a client who is slow.

What belongs here: what is written and not yet taken. What does not: when to send it and when to give up (`worker`).
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable
from threading import Condition

# A thread that writes while the client has more than this to take waits: an answer that is written in pieces is not
# kept in memory. An answer that is whole goes in at once, so its thread is free however slow the client is.
MAX_UNSENT_BYTES = 256 * 1024


class ClientSocket:
    """Stands for `raw`, which does not block. Threads call `sendall`; the worker's loop calls `flush` and `give_up`.

    wake: called by a thread when there is something that the loop has to send. `unsent`, `taken`: bytes that the client
    has yet to take, and has taken.
    """

    __slots__ = ("_left", "_room", "_wake", "broken", "raw", "taken", "unsent")

    def __init__(self, raw: socket.socket, wake: Callable[[], None]) -> None:
        raw.setblocking(False)
        self.raw = raw
        self.unsent = self.taken = 0
        self.broken = False
        self._wake = wake
        self._left: deque[memoryview] = deque()
        self._room = Condition()

    # For gunicorn, in its threads.

    def sendall(self, data: bytes) -> None:
        """Send, or keep for the loop to send. Raises BrokenPipeError where the client has gone or was given up."""
        with self._room:
            while self.unsent > MAX_UNSENT_BYTES and not self.broken:
                self._room.wait()
            if self.broken:
                raise BrokenPipeError(errno.EPIPE, "the client has gone")
            rest = memoryview(data)
            if not self._left:
                rest = rest[self._send(rest) :]
            if not rest:
                return
            first = not self._left
            self._left.append(rest)
            self.unsent += len(rest)
        if first:
            self._wake()

    def send(self, data: bytes) -> int:
        """Only for `100 Continue`, which the loop has sent where a client waited for it."""
        return len(data)

    def recv(self, _size: int) -> bytes:
        """The parser was given all bytes of the request; what is missing does not come."""
        return b""

    def setblocking(self, _blocking: bool) -> None:
        """It never blocks."""

    def settimeout(self, _seconds: float | None) -> None:
        """The worker has its own deadlines."""

    def gettimeout(self) -> float:
        return 0.0

    def fileno(self) -> int:
        return self.raw.fileno()

    def shutdown(self, how: int) -> None:
        """Nothing: the loop ends a connection when all is sent."""

    def close(self) -> None:
        """Nothing: the loop ends a connection when all is sent."""

    # For the loop.

    def flush(self) -> bool:
        """Send what is left. Returns whether all is sent; raises OSError where the client has gone."""
        with self._room:
            while self._left:
                piece = self._left[0]
                sent = self._send(piece)
                self.unsent -= sent
                if sent < len(piece):
                    self._left[0] = piece[sent:]
                    break
                self._left.popleft()
            if self.unsent <= MAX_UNSENT_BYTES:
                self._room.notify_all()
            return not self._left

    def give_up(self) -> None:
        """Close at once. A thread that writes gets an error. May be called again."""
        with self._room:
            self.broken = True
            self._left.clear()
            self.unsent = 0
            self._room.notify_all()
        self.raw.close()

    def _send(self, data: memoryview) -> int:
        try:
            sent = self.raw.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        self.taken += sent
        return sent
