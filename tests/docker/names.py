"""A name server as Docker's: it answers A queries for the names it is told, and can be told others at any time."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

HEADER = struct.Struct("!6H")
ANSWERED, NO_SUCH_NAME = 0x8180, 0x8183
A, IN = 1, 1


class Names:
    """Answers on `port` of 127.0.0.1. `addresses` may be changed while it runs; `asked` counts by name."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.addresses = dict(addresses)
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Names:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ending.is_set():
            with suppress(TimeoutError):
                query, sender = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        """`header | question | one record an address`, each record pointing back at the question's name."""
        labels, at = [], HEADER.size
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        name = ".".join(labels)
        found = self.addresses.get(name, ())
        self.asked[name] += 1
        number = HEADER.unpack_from(query)[0]
        head = HEADER.pack(number, ANSWERED if found else NO_SUCH_NAME, 1, len(found), 0, 0)
        record = struct.pack("!HHHIH", 0xC000 | HEADER.size, A, IN, 1, 4)
        return head + query[HEADER.size : at + 5] + b"".join(record + socket.inet_aton(place) for place in found)
