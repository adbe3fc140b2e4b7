"""Ids for documents that are stored by the thousand, made in the same way as ObjectId makes its own.

ObjectId takes a lock and reads the random bytes of the process for every id, and ingest needs two per frame.
"""

from __future__ import annotations

import os
import time
from itertools import count

from bson import ObjectId

COUNTED = 1 << 24


class _Maker:
    """4 bytes of seconds, 5 random bytes of this process, 3 bytes of a counter with a random start."""

    def __init__(self) -> None:
        self.random = os.urandom(5)
        self.count = count(int.from_bytes(os.urandom(3)))


_maker = _Maker()


def _start_again() -> None:
    global _maker
    _maker = _Maker()


os.register_at_fork(after_in_child=_start_again)


def new_id() -> ObjectId:
    """A new unique id. Safe to call from several threads."""
    seconds, number = int(time.time()), next(_maker.count) % COUNTED
    return ObjectId(seconds.to_bytes(4, "big") + _maker.random + number.to_bytes(3, "big"))
