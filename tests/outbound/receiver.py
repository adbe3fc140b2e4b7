"""A real HTTP server that takes deliveries as it is told to, in a thread of this process."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from greenpower.stack.port import free_port


class Receiver:
    """What came: bodies and headers in order. status: what it answers. mishap: `hang` does not answer until `gate` is
    set, `drip` sends a byte of a header now and then without end, `cut` ends the connection before it answers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.mishap = ""
        self.gate = threading.Event()
        # Called with each delivery before it is answered.
        self.on_delivery: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/t0ken"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows of all deliveries that were taken or not, in order."""
        return [row for _, body in self.got for row in json.loads(body)["rows"]]

    def clear(self) -> None:
        """As it was in the beginning."""
        self.got.clear()
        self.status, self.headers, self.mishap = 200, {}, ""
        self.on_delivery = lambda: None


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, until it is not needed any more."""
    receiver = Receiver(free_port())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({"path": self.path, **dict(self.headers)}, body))
            receiver.on_delivery()
            if receiver.mishap == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if receiver.mishap == "hang":
                receiver.gate.wait(60)
                return
            if receiver.mishap == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not receiver.gate.wait(0.01):
                    self.wfile.write(b"x")
                return
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def handle(self) -> None:
            with suppress(OSError):  # the other side has gone
                super().handle()

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", receiver.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.gate.set()
            server.shutdown()
            thread.join()
