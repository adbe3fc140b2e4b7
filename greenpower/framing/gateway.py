"""A gateway's stream, cut into heartbeats, answers to the requests that it may be asked, and noise.

What belongs here: where a message starts and ends, whatever is around it. What does not: whose turn it is (`dialogue`).

Both kinds of message start with bytes that are known beforehand: the pattern of the registration packet and of the
heartbeat, and the heads of the answers, length and byte count included (`ReadRequest`). So a message is found by what
it must be, never by trust in a length that came with it, and after garbage the stream is in step again with the next
good message. Heads over a serial line are short (`RtuRequest`): there the checksum decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from greenpower.datatype.deprecated import warn_renamed
from greenpower.datatype.packet import read_packet
from greenpower.framing.modbus import ReadRequest

MAX_NOISE_BYTES = 256
#: so much of a registration packet inside an answer is no measured value
TELLING_BYTES = 4
NOTHING = b"(?!)"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A registration packet, or the heartbeat of its own that a gateway sends. identity: the gateway's id."""

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
    """Cuts the stream of one connection. It holds at most one unfinished answer and MAX_NOISE_BYTES bytes of noise.

    registration, heartbeat: the packets that a gateway sends unasked, as of a `Tcp` claim; "" where it sends none.
    """

    def __init__(self, registration: str, requests: Iterable[ReadRequest], heartbeat: str = "") -> None:
        self._registration = read_packet(registration) if registration else None
        self._own_heartbeat = read_packet(heartbeat) if heartbeat else None
        self._identity: bytes | None = None if registration else b""
        # What the gateway sends again and again, once it is known: an answer that breaks off is not filled up with it.
        self._repeated = self._own_heartbeat.fixed if self._own_heartbeat else None
        self._heartbeat = Heartbeat("")
        self._buffer = bytearray()
        self._noise = bytearray()
        self.expect(requests)

    def expect(self, requests: Iterable[ReadRequest]) -> None:
        """From now on answers to these requests may come, and to no others."""
        self._heads: dict[bytes, tuple[ReadRequest, int, bool]] = {}
        for request in requests:
            self._heads.setdefault(request.answer_head, (request, request.answer_size, False))
            self._heads.setdefault(request.exception_head, (request, request.exception_size, True))
        self._head_bytes = max((len(head) for head in self._heads), default=0)
        packets = [packet.atoms for packet in (self._registration, self._own_heartbeat) if packet is not None]
        starts = [*packets, *(tuple(re.escape(bytes([byte])) for byte in head) for head in self._heads)]
        self._start = re.compile(b"|".join(map(b"".join, starts)) or NOTHING, re.DOTALL)
        self._beginning = re.compile(b"(?:" + b"|".join(map(_part_of, starts)) + rb")\Z", re.DOTALL)

    @property
    def is_waiting(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterable[Message]:
        """Take bytes of the stream; the messages that they finish. Iterate to the end before the next call."""
        if not self._buffer and not self._noise and (whole := self._whole(data)) is not None:
            return whole
        self._buffer += data
        return self._messages()

    def _whole(self, data: bytes) -> Sequence[Message] | None:
        """The messages of a packet that is a heartbeat, an answer, or an answer and a heartbeat: nearly all are.

        None where it is anything else, or where it takes a closer look to tell.
        """
        if self._identity is None:
            return None
        repeated = self._repeated
        if data == repeated:
            return (self._heartbeat,)
        known = self._heads.get(data[: self._head_bytes])
        if known is None:
            return None
        request, size, is_exception = known
        if is_exception or len(data) < size:
            return None
        if repeated and data.find(repeated[:TELLING_BYTES]) not in (-1, size):
            return None
        if not request.is_whole(data[:size]):
            return None
        if len(data) == size:
            return (ModbusAnswer(request, data),)
        if data[size:] == repeated:
            return ModbusAnswer(request, data[:size]), self._heartbeat
        return None

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
                self._learn(head)
                del buffer[: len(head)]
                yield self._heartbeat
                continue
            yield from self._drop(start)
            request, size, is_exception = known
            cut = self._cut(size)
            if cut is None or (cut == size and len(buffer) < size):
                return
            if cut < size:
                yield from self._drop(cut)
                continue
            data = bytes(buffer[:size])
            if not request.is_whole(data):
                yield from self._drop(1)
                continue
            yield from self._flush()
            del buffer[:size]
            yield ModbusAnswer(request, data, data[len(head)] if is_exception else None)
        begun = self._beginning.search(buffer)
        yield from self._drop(begun.start() if begun else len(buffer))

    def _cut(self, size: int) -> int | None:
        """Where the answer at the start of the buffer breaks off since a heartbeat follows; `size` where it does not.

        None: more bytes will tell.
        """
        repeated = self._repeated
        if repeated is None or len(repeated) < TELLING_BYTES:
            return size
        at = self._buffer.find(repeated, 0, size + len(repeated) - 1)
        if at >= 0:
            return at
        at = self._buffer.find(repeated[:TELLING_BYTES], 0, size)
        if at >= 0 and repeated.startswith(self._buffer[at:]):
            return None
        return size

    def _learn(self, packet: bytes) -> None:
        """A packet came unasked: the registration, which says who it is, or the heartbeat."""
        if packet == self._identity or self._registration is None:
            return
        if not self._registration.starts(packet) or len(packet) != self._registration.size:
            return
        self._identity = packet
        self._heartbeat = Heartbeat(self._registration.identity(packet))
        if self._own_heartbeat is None:
            self._repeated = packet

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


def is_answer_to(request: ReadRequest, answer: ModbusAnswer) -> bool:
    """Whether an answer may be that to a request: over a serial line several requests can have the same head."""
    return answer.data.startswith(request.answer_head if answer.code is None else request.exception_head)


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
