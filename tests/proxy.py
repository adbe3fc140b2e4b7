"""A TCP proxy before an MQTT broker that can swallow what a client acknowledges."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

PUBACK = 0x40


class AckDroppingProxy:
    """Listens on `port` and forwards to a broker; while `dropping`, PUBACKs of clients do not get through.

    `dropped` counts those, `acks` all that clients sent, one number a connection.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.dropping = False
        self.dropped = 0
        self.acks: list[int] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> AckDroppingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    broker = socket.create_connection(self.target)
                except OSError:  # the broker is down
                    client.close()
                    continue
                self.acks.append(0)
                self._sockets += [client, broker]
                threading.Thread(target=self._up, args=(client, broker, len(self.acks) - 1), daemon=True).start()
                threading.Thread(target=self._down, args=(broker, client), daemon=True).start()

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
