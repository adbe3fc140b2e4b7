"""The bytes of one HTTP request while they come, and whether it is whole. Pure: no socket, no thread.

What belongs here: just enough of HTTP to find the end of a request. What does not: judging it. Whatever is malformed
counts as whole: gunicorn's parser reads the same bytes and refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

HEAD_END = b"\r\n\r\n"
# Of the request line and all headers. A line that is longer than gunicorn's limit is given to it at once.
MAX_HEAD_BYTES = 32 * 1024
MAX_LINE_BYTES = 8190
# Chunks add to the bytes of a body; more than this much is no honest client.
CHUNKS_FACTOR = 4
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(;[^\r\n]*)?")
METHOD_START = re.compile(rb"[\r\nA-Za-z]")


class RequestBuffer:
    """One request, as it comes. A pipelined one behind it is kept with it.

    max_body: a body of more bytes is not waited for; allowance: says how many by the head. `whole`: nothing is missing,
    or what is missing is not waited for (then `cut`). `in_body`: the headers are there. `expects`: the client waits to
    be told to send the body.
    `head_too_long`: the headers are too many. `malformed`: the body's chunks are no chunks.
    """

    __slots__ = (
        "_allowance",
        "_at",
        "_body_bytes",
        "_body_end",
        "_chunked",
        "_data",
        "_max_body",
        "cut",
        "expects",
        "head_too_long",
        "in_body",
        "malformed",
        "whole",
    )

    def __init__(self, max_body: int, allowance: Callable[[bytes], int] | None = None) -> None:
        self._data = bytearray()
        self._allowance = allowance
        self._max_body = max_body
        self._at = 0  # headers: where to look for their end; chunks: where the next one begins
        self._body_end = 0
        self._body_bytes = 0  # in chunks that have come
        self._chunked = False
        self.in_body = self.whole = self.cut = self.expects = False
        self.head_too_long = self.malformed = False

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""
        self._data += data
        if not self.in_body and not self.whole:
            self._look_for_body()
        if self.in_body and not self.whole:
            self._look_for_end()

    def take(self) -> bytes:
        """All bytes; the buffer is empty then. Chunks that are too much for a body are announced as one that is too
        long: Flask would take the beginning of them for the whole."""
        data, self._data = bytes(self._data), bytearray()
        if self.cut and self._chunked and not self.malformed:
            return CHUNKED.sub(b"\r\nContent-Length: %d\r\n" % (self._max_body + 1), data, count=1)
        return data

    def _look_for_body(self) -> None:
        end = self._data.find(HEAD_END, self._at)
        if end < 0:
            self._at = max(0, len(self._data) - 3)
            if len(self._data) > MAX_HEAD_BYTES:
                self.head_too_long = True
                self._cut_off()
            elif self._data and (not METHOD_START.match(self._data) or self._line_is_too_long()):
                self._cut_off()
            return
        if end > MAX_HEAD_BYTES:
            self.head_too_long = True
            self._cut_off()
            return
        self.in_body = True
        head = bytes(self._data[: end + 2])
        self._at = self._body_end = end + len(HEAD_END)
        self._chunked = CHUNKED.search(head) is not None
        if self._allowance is not None:
            self._max_body = self._allowance(head)
        if not self._chunked and (length := LENGTH.search(head)) is not None:
            size = int(length[1])
            self._body_end += size
            if size > self._max_body:
                self._cut_off()
        self.expects = EXPECTS.search(head) is not None

    def _line_is_too_long(self) -> bool:
        most = MAX_LINE_BYTES + len(b"\r\n")
        return len(self._data) > most and self._data.find(b"\r\n", 0, most) < 0

    def _look_for_end(self) -> None:
        if not self._chunked:
            self.whole = len(self._data) >= self._body_end
            return
        while not self.whole:
            line_end = self._data.find(b"\r\n", self._at)
            if line_end < 0:
                self.malformed = len(self._data) - self._at > MAX_LINE_BYTES
                break
            found = CHUNK_SIZE.fullmatch(self._data, self._at, line_end)
            if found is None:
                self.malformed = True
                break
            size = int(found[1], 16)
            if size == 0:
                # Trailers end with an empty line; mostly there are none, and the line of the size ends with it.
                self.whole = self._data.find(HEAD_END, line_end) >= 0
                break
            end = line_end + 2 + size
            if self._body_bytes + size > self._max_body:
                self._cut_off()
                return
            if end + 2 > len(self._data):
                break
            if self._data[end : end + 2] != b"\r\n":
                self.malformed = True
                break
            self._at = end + 2
            self._body_bytes += size
        too_many = len(self._data) - self._body_end > CHUNKS_FACTOR * self._max_body
        if self.malformed or (too_many and not self.whole):
            self._cut_off()

    def _cut_off(self) -> None:
        self.whole = self.cut = True
