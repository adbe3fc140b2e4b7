"""A small HTTP port with a thread per connection that clients who are slow, or many, do not stop.

What belongs here: how long a client may take, and how many there may be. What does not: what is answered
(`http_server`).
"""

from __future__ import annotations

import contextlib
import io
import socket
import time
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

# A client gets this long in all to send its request, and then to take its answer.
REQUEST_SECONDS = 5.0
# Of more the oldest is closed.
MAX_HTTP_CONNECTIONS = 64


class _TimedReader(io.RawIOBase):
    """Reads a socket until a moment (monotonic), however little comes at a time. Raises TimeoutError then."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        try:
            return int(self._connection.recv_into(buffer))
        finally:
            self._connection.settimeout(REQUEST_SECONDS)


class TimedHandler(WSGIRequestHandler):
    """One connection. Health checks come every few seconds, so requests are not worth a line."""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(REQUEST_SECONDS)
        self.rfile = io.BufferedReader(_TimedReader(self.connection, time.monotonic() + REQUEST_SECONDS))

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """No line."""

    def log_error(self, format: str, *args: Any) -> None:
        """No line: who connects could fill the log."""


class CrowdedServer(ThreadedWSGIServer):
    """Serves at most `MAX_HTTP_CONNECTIONS` at once: where one more comes, the oldest goes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._open: dict[socket.socket, None] = {}  # in order of arrival
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        for oldest in list(self._open)[: max(0, len(self._open) - MAX_HTTP_CONNECTIONS + 1)]:
            self._open.pop(oldest, None)
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)
