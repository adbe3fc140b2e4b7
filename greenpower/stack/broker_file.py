"""mosquitto's persistence file: whether it is whole.

It is written anew each time, as a head and chunks, each with its length. mosquitto itself ends with an odd error where
it is cut off, and silently leaves out what it cannot read.

What belongs here: the form of the file, and what we look for in it. What does not: when it is written.
"""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC = b"\x00\xb5\x00mosquitto db"
HEAD_BYTES = len(MAGIC) + 8  # checksum, version
CHUNK_HEAD = struct.Struct("!II")  # kind, length
KINDS = range(1, 9)
SUBSCRIPTION = 5
# Internal number of the client, lengths of its id and of the topic, QoS, options, filler; id and topic follow.
SUBSCRIPTION_HEAD = struct.Struct("!IHHBBH")


def broker_file_trouble(path: Path) -> str:
    """Why this file cannot be read completely; empty where it can."""
    if not path.is_file():
        return "not a file"
    size = path.stat().st_size
    if not size:
        return "empty"
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if not MAGIC.startswith(head[: len(MAGIC)]):
            return "not written by mosquitto"
        at = HEAD_BYTES
        while at < size:
            file.seek(at)
            piece = file.read(CHUNK_HEAD.size)
            if len(piece) < CHUNK_HEAD.size:
                return "cut off"
            kind, length = CHUNK_HEAD.unpack(piece)
            if kind not in KINDS:
                return f"damaged at byte {at}"
            at += CHUNK_HEAD.size + length
    return "" if at == size else "cut off"


def subscribers(path: Path) -> set[str]:
    """The client ids whose subscriptions a whole file has; what waits for them is kept. Empty without a file."""
    found: set[str] = set()
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            at = HEAD_BYTES
            while at < size:
                file.seek(at)
                kind, length = CHUNK_HEAD.unpack(file.read(CHUNK_HEAD.size))
                if kind == SUBSCRIPTION:
                    _, id_bytes, *_ = SUBSCRIPTION_HEAD.unpack(file.read(SUBSCRIPTION_HEAD.size))
                    found.add(file.read(id_bytes).decode(errors="replace"))
                at += CHUNK_HEAD.size + length
    except (OSError, struct.error):
        return set()
    return found
