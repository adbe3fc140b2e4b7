"""Many connections at once that do little: silent, half a request, a byte now and then, or reading nothing."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import Self

TICK_SECONDS = 0.05


class Crowd:
    """Connections to one port, from when it is entered to when it is left.

    first: what each sends at once. drip: what it sends then, one byte every `pause` seconds, over and over. reads:
    whether it takes what comes; `received` has the beginning. receive_buffer: bytes that the system takes for it.
    """

    def __init__(
        self,
        port: int,
        count: int,
        *,
        first: bytes = b"",
        drip: bytes = b"",
        pause: float = 0.5,
        reads: bool = True,
        receive_buffer: int = 0,
    ) -> None:
        self.port, self.count = port, count
        self.first, self.drip, self.pause, self.reads = first, drip, pause, reads
        self.receive_buffer = receive_buffer
        self.closed_after: list[float] = []
        self.received = bytearray()
        self._sockets: dict[socket.socket, float] = {}
        self._selector = selectors.DefaultSelector()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def open(self) -> int:
        """How many the server has not closed."""
        return len(self._sockets)

    def __enter__(self) -> Self:
        for _ in range(self.count):
            self._connect()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        for connection in list(self._sockets):
            connection.close()
        self._selector.close()

    def _connect(self) -> None:
        connection = socket.socket()
        if self.receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.port))
        if self.first:
            connection.sendall(self.first)
        connection.setblocking(False)
        self._sockets[connection] = time.monotonic()
        if self.reads:
            self._selector.register(connection, selectors.EVENT_READ)

    def _run(self) -> None:
        turn, due = 0, time.monotonic() + self.pause
        while not self._ending.is_set():
            for key, _ in self._selector.select(TICK_SECONDS) if self.reads else ():
                self._take(key.fileobj)  # type: ignore[arg-type]
            if not self.reads:
                self._ending.wait(TICK_SECONDS)
            if self.drip and time.monotonic() >= due:
                at = turn % len(self.drip)
                for connection in list(self._sockets):
                    self._send(connection, self.drip[at : at + 1])
                turn, due = turn + 1, due + self.pause

    def _take(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.received += data[: max(0, 100_000 - len(self.received))]
        else:
            self._lost(connection)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        try:
            connection.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self._lost(connection)

    def _lost(self, connection: socket.socket) -> None:
        if (since := self._sockets.pop(connection, None)) is not None:
            self.closed_after.append(time.monotonic() - since)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection)
            connection.close()
