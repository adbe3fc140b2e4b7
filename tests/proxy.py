"""TCP proxies on loopback: what they have in common, and one before an MQTT broker that swallows what a client
acknowledges.
"""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self

PUBACK = 0x40


class Proxy(ABC):
    """Listens on `port` of 127.0.0.1 while it is entered; each connection is served in a thread of its own."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    @abstractmethod
    def serve(self, client: socket.socket) -> None:
        """Serve a connection until it ends, and close it."""

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()


class AckDroppingProxy(Proxy):
    """Forwards to a broker; while `dropping`, PUBACKs of clients do not get through.

    `dropped` counts those, `acks` all that clients sent, one number a connection.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self.target = (host, port)
        self.dropping = False
        self.dropped = 0
        self.acks: list[int] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        with self._lock:
            end(*self._sockets)

    def serve(self, client: socket.socket) -> None:
        # Where the broker is down, the client is hung up on.
        with client, suppress(OSError), socket.create_connection(self.target) as broker:
            with self._lock:
                number = len(self.acks)
                self.acks.append(0)
                self._sockets += [client, broker]
            down = threading.Thread(target=self._down, args=(broker, client), daemon=True)
            down.start()
            self._up(client, broker, number)
            down.join()

    def _down(self, broker: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := broker.recv(65536):
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def _up(self, client: socket.socket, broker: socket.socket, number: int) -> None:
        buffer = b""
        with suppress(OSError):
            while data := client.recv(65536):
                buffer += data
                while packet := _first_packet(buffer):
                    buffer = buffer[len(packet) :]
                    is_ack = packet[0] & 0xF0 == PUBACK
                    self.acks[number] += is_ack
                    if is_ack and self.dropping:
                        self.dropped += 1
                    else:
                        broker.sendall(packet)
        with suppress(OSError):
            broker.shutdown(socket.SHUT_WR)


def end(*connections: socket.socket) -> None:
    """End connections both ways; whoever waits for their bytes hears of it."""
    for one in connections:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _first_packet(buffer: bytes) -> bytes:
    """The first whole MQTT packet in a buffer, empty if there is none yet."""
    length, shift = 0, 0
    for index in range(1, min(len(buffer), 5)):
        length |= (buffer[index] & 0x7F) << shift
        shift += 7
        if not buffer[index] & 0x80:
            end = index + 1 + length
            return buffer[:end] if len(buffer) >= end else b""
    return b""
