"""Registration: who is at the other end of a new connection, told from the first bytes of its stream."""

from __future__ import annotations

from collections.abc import Iterable

from greenpower.datatype import FrameError, Tcp

MAX_BYTES_SHOWN = 32


def identify(data: bytes, claims: Iterable[Tcp]) -> tuple[Tcp, str] | None:
    """The claim whose registration packet a stream starts with, and the packet; None while it is too short to tell.

    Never needs more bytes than the longest packet has. Raises FrameError not-registered where no packet can follow.
    """
    undecided = False
    for claim in claims:
        fits = starts_with(data, claim.registration)
        if fits:
            return claim, data[: len(claim.registration)].decode("ascii")
        undecided = undecided or fits is None
    if undecided:
        return None
    raise FrameError(
        "not-registered", f"{len(data)} bytes that start with no registration packet: {data[:MAX_BYTES_SHOWN].hex()}"
    )


def starts_with(data: bytes, registration: str) -> bool | None:
    """Whether data starts with a registration packet, `#` for a digit; None where it is so far a part of one."""
    for byte, char in zip(data, registration, strict=False):
        if byte != ord(char) and not (char == "#" and byte in b"0123456789"):
            return False
    return True if len(data) >= len(registration) else None
