"""Telegrams of the P1 port, cut from a stream and checked.

    /ISK5\\2M550T-1012 CR LF CR LF 1-0:1.8.1(000123.456*kWh) CR LF … !8A3F CR LF

What belongs here: where a telegram starts and ends, and its CRC-16, which covers all from `/` to `!`. Meters before
DSMR 4 send none. What does not: what a telegram says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from greenpower.framing.rtu import crc16

MAX_NOISE_KEPT_BYTES = 256
END = re.compile(rb"\r?\n!([0-9A-Fa-f]{4})?[ \t]*\r?\n")
#: so many bytes of an end may have come
MAX_END_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Telegram:
    """A telegram, from `/` to the end of its last line; or bytes that are none, and why not (fault, detail)."""

    data: bytes
    fault: str = ""
    detail: str = ""


class TelegramFramer:
    """Cuts the stream of one connection. It holds at most one telegram of `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0

    def receive(self, data: bytes) -> list[Telegram]:
        """Take bytes of the stream; the telegrams that they finish, and what is none."""
        found: list[Telegram] = []
        buffer = self._buffer
        buffer += data
        while buffer:
            if not buffer.startswith(b"/"):
                start = buffer.find(b"/")
                self._skip(found, len(buffer) if start < 0 else start, "noise", "no telegram has begun")
                continue
            end = END.search(buffer, self._searched)
            again = buffer.find(b"\n/", max(0, self._searched - 1), len(buffer) if end is None else end.start()) + 1
            if again:  # it broke off, and another one began
                self._skip(found, again, "cut-telegram", "another telegram begins before its end")
            elif end is not None:
                telegram = bytes(buffer[: end.end()])
                del buffer[: end.end()]
                self._searched = 0
                found.append(check_telegram(telegram))
            elif len(buffer) > self._limit:
                self._skip(found, len(buffer), "too-large", f"{len(buffer)} bytes without an end")
            else:
                self._searched = max(0, len(buffer) - MAX_END_BYTES)
                break
        return found

    def _skip(self, found: list[Telegram], count: int, fault: str, detail: str) -> None:
        """Let go of bytes at the start of the buffer; white space between telegrams is no noise."""
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._searched = 0
        if data.strip():
            found.append(Telegram(data=data[:MAX_NOISE_KEPT_BYTES], fault=fault, detail=f"{detail}: {count} bytes"))


def check_telegram(data: bytes) -> Telegram:
    """A telegram with its CRC checked, where it has one. Fault: wrong-crc."""
    mark = data.rindex(b"!") + 1
    sent = data[mark:].strip()
    if sent and int(sent, 16) != (crc := crc16(data[:mark], 0)):
        return Telegram(data=data, fault="wrong-crc", detail=f"{sent.decode()} sent, {crc:04X} computed")
    return Telegram(data=data)
