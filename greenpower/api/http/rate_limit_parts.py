"""Counting requests against a limit in parts: a process takes some of the allowance in one go and hands it out itself.

Else every request would wait for a round trip to Redis. Of a large limit a process takes half a percent at a time, so
an address is refused up to that much too early for each process that it asks; never too late. Small limits are counted
one by one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock

from limits import RateLimitItem
from limits.storage import StorageTypes
from limits.strategies import FixedWindowRateLimiter

# The name by which flask-limiter knows it.
NAME = "fixed-window-in-parts"
PART_OF = 200
LARGEST_PART = 100
# Addresses times limits; beyond that all begin anew.
MOST_KEPT = 10_000


class PartsRateLimiter(FixedWindowRateLimiter):
    """A fixed window of which this process holds some requests in advance."""

    def __init__(self, storage: StorageTypes) -> None:
        super().__init__(storage)
        # By key: how many requests are left of what was taken, and when the window ends.
        self._held: dict[str, tuple[int, float]] = {}
        self._lock = Lock()

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` from the limit; false where it is exceeded. Raises what the storage raises."""
        part = min(LARGEST_PART, item.amount // PART_OF)
        if cost != 1 or part <= 1:
            return super().hit(item, *identifiers, cost=cost)
        if self.spend((item,), *identifiers):
            return True
        key = item.key_for(*identifiers)
        count = self.storage.incr(key, item.get_expiry(), amount=part)
        granted = part - max(0, count - item.amount)
        if granted > 1:
            self._hold(key, granted - 1, self.storage.get_expiry(key))
        return granted > 0

    def spend(self, items: Sequence[RateLimitItem], *identifiers: str) -> bool:
        """Take one from each limit, if this process holds some of every one; false, and nothing is taken, if not."""
        keys = [item.key_for(*identifiers) for item in items]
        now = time.time()
        with self._lock:
            for key in keys:
                left, until = self._held.get(key, (0, 0.0))
                if not left or now >= until:
                    self._held.pop(key, None)
                    return False
            for key in keys:
                left, until = self._held[key]
                if left > 1:
                    self._held[key] = left - 1, until
                else:
                    del self._held[key]
        return True

    def _hold(self, key: str, count: int, until: float) -> None:
        with self._lock:
            if len(self._held) >= MOST_KEPT:
                self._held.clear()
            # Two threads may have come at once.
            self._held[key] = count + self._held.get(key, (0, 0.0))[0], until
