"""Lines: a stream of newline-delimited messages, cut into them.

What belongs here: where a line ends and when it is too long. What does not: what a line says.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

MAX_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlong:
    """A line beyond the limit, of which only this was kept: length in bytes, SHA-256 in hex, the first bytes."""

    length: int
    digest: str
    head: bytes


class LineFramer:
    r"""Cuts a stream at `\n`; a `\r` before it and empty lines are dropped. Holds `limit` bytes at most, plus a little.

    >>> LineFramer(limit=100).receive(b'{"a":1}\n{"b"')
    [b'{"a":1}']
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._length = 0  # of an overlong line that has not ended yet
        self._digest = sha256()
        self._head = b""

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished line have come."""
        return self._length + len(self._buffer)

    def receive(self, data: bytes) -> list[bytes | Overlong]:
        """Take bytes of the stream; the lines that they finish."""
        lines: list[bytes | Overlong] = []
        buffer = self._buffer
        buffer += data
        start = 0
        while (end := buffer.find(b"\n", max(start, self._searched))) >= 0:
            line = bytes(buffer[start:end])
            if self._length or len(line.removesuffix(b"\r")) > self.limit:
                self._skip(line)
                lines.append(self._skipped())
            elif line := line.removesuffix(b"\r"):
                lines.append(line)
            start = end + 1
        del buffer[:start]
        if self._length or len(buffer) > self.limit + 1:  # one more, which may be the \r
            self._skip(buffer)
            buffer.clear()
        self._searched = len(buffer)
        return lines

    def _skip(self, part: bytes | bytearray) -> None:
        self._length += len(part)
        self._digest.update(part)
        self._head += bytes(part[: MAX_HEAD_BYTES - len(self._head)])

    def _skipped(self) -> Overlong:
        line = Overlong(length=self._length, digest=self._digest.hexdigest(), head=self._head)
        self._length, self._digest, self._head = 0, sha256(), b""
        return line
