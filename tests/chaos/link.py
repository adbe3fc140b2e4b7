"""A network link that can be cut, go silent or be slow: a TCP proxy on loopback, which needs no rights."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

CHUNK = 65_536
SLOW_CHUNK = 8_192
CONNECT_SECONDS = 2.0


class Link:
    """Listens on `port` and forwards to a server on loopback. Use as `with`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._refusing = False
        self._delay = 0.0
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Link:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
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

    def _hang_up(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _end(pair)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if self._refusing:
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
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

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(SLOW_CHUNK if self._delay else CHUNK):
                self._open.wait()
                time.sleep(self._delay)
                target.sendall(data)
        _end((source, target))


def _end(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
