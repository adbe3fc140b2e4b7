"""A Socket.IO client by hand: one that can stop reading, and one that costs next to nothing."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from typing import Any


class RawClient:
    """Engine.IO 4 over a WebSocket on a bare socket with a small receive buffer. Reads only when told to."""

    def __init__(self, port: int, token: str, receive_buffer: int = 4096) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))
        self._rest = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        while b"\r\n\r\n" not in self._rest:
            self._rest += self.socket.recv(4096)
        self._rest = self._rest.split(b"\r\n\r\n", 1)[1]
        assert self.read().startswith("0")
        self.send("40/telemetry," + json.dumps({"token": token}))
        assert self.read().startswith("40/telemetry,")

    def emit(self, event: str, data: Any) -> None:
        self.send("42/telemetry," + json.dumps([event, data]))

    def send(self, text: str) -> None:
        """One text frame, masked as clients must (with zeros)."""
        body = text.encode()
        size = bytes([0x80 | len(body)]) if len(body) < 126 else bytes([0x80 | 126]) + struct.pack("!H", len(body))
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + body)

    def read(self) -> str:
        """The next text frame; pings are answered."""
        while True:
            text = self._frame()
            if text != "2":
                return text
            self.send("3")

    def next(self, event: str) -> Any:
        """The data of the next message of an event."""
        while True:
            text = self.read()
            if text.startswith("42/telemetry,"):
                found = json.loads(text.removeprefix("42/telemetry,"))
                if found[0] == event:
                    return found[1]

    def _frame(self) -> str:
        head = self._take(2)
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
        return self._take(length).decode()

    def _take(self, count: int) -> bytes:
        while len(self._rest) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self._rest += more
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def close(self) -> None:
        self.socket.close()
