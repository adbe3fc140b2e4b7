"""A gateway's stream, cut into heartbeats, answers to the requests that it may be asked, and noise.

What belongs here: where a message starts and ends, whatever is around it. What does not: whose turn it is (`dialogue`).

Both kinds of message start with bytes that are known beforehand: the registration packet's pattern, and the heads of
the answers, length and byte count included (`ReadRequest`). So a message is found by what it must be, never by trust in
a length that came with it, and after garbage the stream is in step again with the next good message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from greenpower.datatype.deprecated import warn_renamed
from greenpower.framing.modbus import ReadRequest

MAX_NOISE_BYTES = 256
#: so much of a registration packet inside an answer is no measured value
TELLING_BYTES = 4


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A registration packet."""

    identity: str


@dataclass(frozen=True, slots=True)
class ModbusAnswer:
    """An answer to a request, whole; `code` is its exception code, None where it carries registers."""

    request: ReadRequest
    data: bytes
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that are neither, at most MAX_NOISE_BYTES."""

    data: bytes


Message = Heartbeat | ModbusAnswer | Noise


class GatewayFramer:
    """Cuts the stream of one connection. It holds at most one unfinished answer and MAX_NOISE_BYTES bytes of noise."""

    def __init__(self, registration: str, requests: Iterable[ReadRequest]) -> None:
        self._heads: dict[bytes, tuple[ReadRequest, int]] = {}
        for request in requests:
            self._heads[request.answer_head] = request, request.answer_size
            self._heads[request.exception_head] = request, len(request.exception_head) + 1
        packet = [b"[0-9]" if char == "#" else re.escape(char.encode()) for char in registration]
        starts = [packet, *([re.escape(bytes([byte])) for byte in head] for head in self._heads)]
        self._start = re.compile(b"|".join(b"".join(start) for start in starts))
        self._beginning = re.compile(b"(?:" + b"|".join(map(_part_of, starts)) + rb")\Z")
        self._identity: bytes | None = None
        self._buffer = bytearray()
        self._noise = bytearray()

    @property
    def is_waiting(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterator[Message]:
        """Take bytes of the stream; the messages that they finish. Iterate to the end before the next call."""
        self._buffer += data
        return self._messages()

    def give_up(self) -> Iterator[Message]:
        """Let go of a message that does not end: it was none. What came after its first byte is looked at again."""
        self._noise += self._buffer[:1]
        del self._buffer[:1]
        yield from self._messages()
        yield from self._flush()

    def _messages(self) -> Iterator[Message]:
        buffer = self._buffer
        while found := self._start.search(buffer):
            head, start = found.group(), found.start()
            known = self._heads.get(head)
            if known is None:
                yield from self._drop(start)
                yield from self._flush()
                self._identity = head
                del buffer[: len(head)]
                yield Heartbeat(head.decode("ascii"))
                continue
            yield from self._drop(start)
            request, size = known
            cut = self._cut(size)
            if cut is None or (cut == size and len(buffer) < size):
                return
            if cut < size:
                yield from self._drop(cut)
                continue
            yield from self._flush()
            data = bytes(buffer[:size])
            del buffer[:size]
            yield ModbusAnswer(request, data, None if size > len(head) + 1 else data[-1])
        begun = self._beginning.search(buffer)
        yield from self._drop(begun.start() if begun else len(buffer))

    def _cut(self, size: int) -> int | None:
        """Where the answer at the start of the buffer breaks off since a heartbeat follows; `size` where it does not.

        None: more bytes will tell.
        """
        identity = self._identity
        if identity is None:
            return size
        at = self._buffer.find(identity, 0, size + len(identity) - 1)
        if at >= 0:
            return at
        at = self._buffer.find(identity[:TELLING_BYTES], 0, size)
        if at >= 0 and identity.startswith(self._buffer[at:]):
            return None
        return size

    def _drop(self, count: int) -> Iterator[Noise]:
        """Move bytes from the front of the buffer to the noise."""
        self._noise += self._buffer[:count]
        del self._buffer[:count]
        while len(self._noise) >= MAX_NOISE_BYTES:
            yield Noise(bytes(self._noise[:MAX_NOISE_BYTES]))
            del self._noise[:MAX_NOISE_BYTES]

    def _flush(self) -> Iterator[Noise]:
        if self._noise:
            yield Noise(bytes(self._noise))
            self._noise.clear()


def _part_of(start: Sequence[bytes]) -> bytes:
    """A pattern for the first one or more bytes of a start."""
    pattern = b""
    for atom in reversed(start):
        pattern = atom + (b"(?:" + pattern + b")?" if pattern else b"")
    return pattern


def __getattr__(name: str) -> type[ModbusAnswer]:
    """What is imported by a name that it had before."""
    if name != "Answer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_renamed("Answer", "ModbusAnswer")
    return ModbusAnswer
