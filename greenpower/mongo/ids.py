"""Ids of documents that are stored by the thousand: made as ObjectId makes its own.

ObjectId takes a lock and asks for its process's random bytes anew with each, and ingest needs two a frame.
"""

from __future__ import annotations

import os
import time
from itertools import count

from bson import ObjectId

COUNTED = 1 << 24


class _Maker:
    """Seconds, five random bytes of this process, a counter that begins anywhere: 4, 5 and 3 bytes."""

    def __init__(self) -> None:
        self.random = os.urandom(5)
        self.count = count(int.from_bytes(os.urandom(3)))


_maker = _Maker()


def _start_anew() -> None:
    global _maker
    _maker = _Maker()


os.register_at_fork(after_in_child=_start_anew)


def new_id() -> ObjectId:
    """An id that no other process and no other call makes. Safe to call from several threads."""
    seconds, number = int(time.time()), next(_maker.count) % COUNTED
    return ObjectId(seconds.to_bytes(4, "big") + _maker.random + number.to_bytes(3, "big"))
