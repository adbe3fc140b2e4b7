"""Registration: who is at the other end of a new connection, told from the first bytes of its stream."""

from __future__ import annotations

from collections.abc import Iterable

from greenpower.datatype import FrameError, Tcp
from greenpower.datatype.packet import read_packet

MAX_BYTES_SHOWN = 32


def identify(data: bytes, claims: Iterable[Tcp]) -> tuple[Tcp, str] | None:
    """The claim whose registration packet a stream starts with, and what the packet says: the gateway's id.

    None while the stream is too short to tell. Never needs more bytes than the longest packet has. Raises FrameError
    not-registered where no packet can follow.
    """
    undecided = False
    for claim in claims:
        fits = claim.packet.starts(data)
        if fits:
            return claim, claim.packet.identity(data[: claim.packet.size])
        undecided = undecided or fits is None
    if undecided:
        return None
    raise FrameError(
        "not-registered", f"{len(data)} bytes that start with no registration packet: {data[:MAX_BYTES_SHOWN].hex()}"
    )


def starts_with(data: bytes, registration: str) -> bool | None:
    """Whether data starts with a registration packet; None where it is so far a part of one."""
    return read_packet(registration).starts(data)
