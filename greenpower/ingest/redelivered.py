"""Frames that came from the spool, and which the broker delivers again.

What belongs here: telling that they are the same. What does not: the files (`spool`), frames that are known by their
packet ids (`steps.gathering`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from greenpower.ingest.arrival import Arrival


class Redelivered:
    """Frames that were taken from the spool, and which the broker may deliver again: they are the same frames.

    clock: seconds; after `seconds` none of them is waited for any more.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, seconds: float = 600.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until = 0.0
        self._frames: dict[tuple[str, bytes], int] = {}

    def expect(self, arrival: Arrival) -> None:
        """A frame was taken from the spool and is stored."""
        key = arrival.topic, arrival.payload
        self._frames[key] = self._frames.get(key, 0) + 1
        self._until = self._clock() + self._seconds

    def take(self, arrival: Arrival) -> bool:
        """Whether a frame that is delivered again is one of them. Each is found once."""
        if not self._frames or not arrival.dup:
            return False
        if self._clock() > self._until:
            self._frames.clear()
            return False
        key = arrival.topic, arrival.payload
        left = self._frames.get(key, 0)
        if left > 1:
            self._frames[key] = left - 1
        elif left:
            del self._frames[key]
        return bool(left)
