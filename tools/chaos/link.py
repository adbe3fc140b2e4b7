"""A network link that can be cut, go silent or be slow: a TCP proxy on loopback, which needs no rights."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from tests.proxy import Proxy, end

CHUNK = 65_536
SLOW_CHUNK = 8_192
CONNECT_SECONDS = 2.0


class Link(Proxy):
    """Forwards to a server on loopback."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self.target = target
        self._open = threading.Event()
        self._open.set()
        self._refusing = False
        self._delay = 0.0
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.heal()
        self._hang_up()

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self._refusing = True
        self._hang_up()

    def silence(self) -> None:
        """Keep connections, forward nothing."""
        self._open.clear()

    def slow(self, delay: float) -> None:
        """Forward 8 KiB, then wait so many seconds."""
        self._delay = delay

    def heal(self, *, hang_up: bool = False) -> None:
        """Be a good link again. hang_up: what was open is lost, as when a router forgot it."""
        if hang_up:
            self._hang_up()
        self._refusing = False
        self._delay = 0.0
        self._open.set()

    def serve(self, client: socket.socket) -> None:
        if self._refusing:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target), CONNECT_SECONDS)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        down = threading.Thread(target=self._forward, args=(server, client), daemon=True)
        down.start()
        self._forward(client, server)
        down.join()
        with self._lock:
            self._pairs.discard(pair)
        client.close()
        server.close()

    def _hang_up(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            end(*pair)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(SLOW_CHUNK if self._delay else CHUNK):
                self._open.wait()
                time.sleep(self._delay)
                target.sendall(data)
        end(source, target)
