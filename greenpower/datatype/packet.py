"""Packets that a gateway sends unasked, such as its registration: known bytes, and places for digits.

What belongs here: how such a packet is written in a declaration, and whether bytes are one. What does not: when a
gateway sends it (`greenpower.framing`).

    GWCCCL####           text; # is one digit
    mac:D4AD20######     text; # is one hexadecimal digit
    hex:D4AD20######     raw bytes in hexadecimal; ## is any byte
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from greenpower.datatype.error import DeclarationError

PACKET_FORMS = {"mac:": "mac", "hex:": "hex"}
MAX_PACKET_CHARACTERS = 48
#: a packet of digits alone is one if it is as long as an IMEI or a SIM card's number
MIN_DIGITS_ALONE = 10
DIGITS = frozenset(b"0123456789")
HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
ANY_BYTE = frozenset(range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet. text: as declared. allowed: for each of its bytes, what it may be. raw: whether it is no text."""

    text: str
    allowed: tuple[frozenset[int], ...]
    raw: bool

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.allowed)

    @property
    def atoms(self) -> tuple[bytes, ...]:
        """A regular expression for each byte."""
        return tuple(_atom(byte) for byte in self.allowed)

    @property
    def fixed(self) -> bytes | None:
        """Its bytes, where each is known."""
        if any(len(allowed) > 1 for allowed in self.allowed):
            return None
        return bytes(byte for allowed in self.allowed for byte in allowed)

    def starts(self, data: bytes) -> bool | None:
        """Whether data starts with the packet; None where it is so far a part of one."""
        if not all(byte in allowed for byte, allowed in zip(data, self.allowed, strict=False)):
            return False
        return True if len(data) >= self.size else None

    def overlaps(self, other: Packet) -> bool:
        """Whether one stream can start with both."""
        return all(mine & theirs for mine, theirs in zip(self.allowed, other.allowed, strict=False))

    def identity(self, data: bytes) -> str:
        """What a packet says, as a device id: its text, or its bytes in hexadecimal."""
        return data.hex().upper() if self.raw else data.decode("ascii")

    def packet_of(self, identity: str) -> bytes | None:
        """The packet that says an identity; None if none does."""
        try:
            data = bytes.fromhex(identity) if self.raw else identity.encode("ascii")
        except ValueError:
            return None
        if self.raw and identity != data.hex().upper():
            return None
        return data if len(data) == self.size and self.starts(data) else None

    def example(self) -> str:
        """An identity that it can say: 0 in all open places."""
        return self.identity(
            bytes(min((allowed & DIGITS if len(allowed) < 256 else ()) or allowed) for allowed in self.allowed)
        )

    @property
    def form(self) -> Literal["text", "mac", "hex"]:
        """How it is written."""
        return PACKET_FORMS.get(self.text[:4], "text")  # type: ignore[return-value]


@lru_cache(maxsize=1024)
def read_packet(text: str, what: str = "registration") -> Packet:
    """The packet that a text declares. what: for the error. Raises DeclarationError."""
    form = PACKET_FORMS.get(text[:4], "text")
    body = text if form == "text" else text[4:]
    if form == "hex":
        pairs = re.findall("..", body)
        if not re.fullmatch("(?:[0-9A-Fa-f]{2}|##){1,32}", body):
            raise DeclarationError(f"{what} {text!r} is not 1 to 32 bytes in hexadecimal, ## for any byte")
        allowed = tuple(ANY_BYTE if pair == "##" else frozenset([int(pair, 16)]) for pair in pairs)
        if not body.strip("#"):
            raise DeclarationError(f"{what} {text!r} would be any bytes: give those that are known")
        return Packet(text=text, allowed=allowed, raw=True)
    if not re.fullmatch(f"[!-~]{{1,{MAX_PACKET_CHARACTERS}}}", body):
        raise DeclarationError(f"{what} {text!r} is not printable ASCII, {MAX_PACKET_CHARACTERS} characters at most")
    wild = HEX_DIGITS if form == "mac" else DIGITS
    return Packet(text=text, raw=False, allowed=tuple(wild if char == "#" else frozenset([ord(char)]) for char in body))


def check_registration(text: str) -> None:
    """Raises DeclarationError where a packet could be the start of nearly any stream."""
    packet = read_packet(text)
    if packet.raw:
        return
    body = text.removeprefix("mac:")
    if len(body) < 4 or (not body.strip("#") and (packet.form == "mac" or len(body) < MIN_DIGITS_ALONE)):
        raise DeclarationError(
            f"registration {text!r} is not 4 to {MAX_PACKET_CHARACTERS} printable ASCII characters with one that is "
            f"not #, nor {MIN_DIGITS_ALONE} or more digits"
        )


def _atom(allowed: frozenset[int]) -> bytes:
    if allowed == ANY_BYTE:
        return b"[\\x00-\\xff]"
    if len(allowed) == 1:
        return re.escape(bytes(allowed))
    return b"[0-9]" if allowed == DIGITS else b"[0-9A-Fa-f]"
