"""A clock that stands until a test moves it, and pauses that take no time."""

from __future__ import annotations

from greenpower.loops import Backoff

AT_ONCE = Backoff(first=0.0, longest=0.0, steady=30.0)
FOREVER = Backoff(first=3600.0, longest=3600.0, jitter=0.0)


class Clock:
    """Seconds, as `time.monotonic` gives them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
