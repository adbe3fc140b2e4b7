"""A clock for one connection that stands still while we hold the connection back.

While MongoDB is away we do not read; a peer must not be blamed for what it said meanwhile. Time-outs are measured by
this clock, times of arrival are real: `age` turns one into the other.
"""

from __future__ import annotations

from collections.abc import Callable

# Between an answer and its use there are few holds; older ones can be forgotten.
MAX_HOLDS_REMEMBERED = 16


class HeldClock:
    """Seconds of a monotonic clock, less those between `stop` and `start`."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._held = 0.0
        self._stopped: float | None = None
        self._holds: tuple[tuple[float, float], ...] = ()

    def now(self) -> float:
        """The time by this clock."""
        return (self._time() if self._stopped is None else self._stopped) - self._held

    def stop(self) -> None:
        """Stand still."""
        if self._stopped is None:
            self._stopped = self._time()

    def start(self) -> None:
        """Go on."""
        if self._stopped is not None:
            length = self._time() - self._stopped
            self._holds = (*self._holds[1 - MAX_HOLDS_REMEMBERED :], (self.now(), length))
            self._held += length
            self._stopped = None

    def age(self, at: float) -> float:
        """How many real seconds ago it was `at` by this clock."""
        age = max(0.0, self.now() - at)
        if self._holds and self._holds[-1][0] >= at:
            age += sum(length for begun, length in self._holds if begun >= at)
        return age if self._stopped is None else age + self._time() - self._stopped
