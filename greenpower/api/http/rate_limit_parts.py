"""Counting requests against a rate limit in parts: a process takes several requests at once from the shared count and
uses them up by itself.

Otherwise every request waits for a round trip to Redis. Of a large limit a process takes half a percent at a time. So
each process that an address uses may refuse it that much too early; never too late. Small limits are counted one by
one. What this is worth: docs/decisions/0015.
"""

from __future__ import annotations

import time
from threading import Lock

from limits import RateLimitItem
from limits.storage import StorageTypes
from limits.strategies import FixedWindowRateLimiter

# The name by which flask-limiter knows it.
STRATEGY_NAME = "fixed-window-in-parts"
PARTS_PER_LIMIT = 200
MAX_REQUESTS_PER_PART = 100
# Pairs of address and limit. Above this number all are forgotten, and the next requests take new parts.
MAX_HELD_PARTS = 10_000


class PartsRateLimiter(FixedWindowRateLimiter):
    """A fixed window of which this process holds some requests in advance."""

    def __init__(self, storage: StorageTypes) -> None:
        super().__init__(storage)
        # By key: how many requests are left of the part, and when the window ends.
        self._held: dict[str, tuple[int, float]] = {}
        self._lock = Lock()

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` from the limit; false if it is exceeded. Raises what the storage raises."""
        part = min(MAX_REQUESTS_PER_PART, item.amount // PARTS_PER_LIMIT)
        if cost != 1 or part <= 1:
            return super().hit(item, *identifiers, cost=cost)
        key = item.key_for(*identifiers)
        if self._spend(key):
            return True
        count = self.storage.incr(key, item.get_expiry(), amount=part)
        granted = part - max(0, count - item.amount)
        if granted > 1:
            self._hold(key, granted - 1, self.storage.get_expiry(key))
        return granted > 0

    def _spend(self, key: str) -> bool:
        """Use one held request; false if there is none, or if its window is over."""
        with self._lock:
            left, until = self._held.pop(key, (0, 0.0))
            if not left or time.time() >= until:
                return False
            if left > 1:
                self._held[key] = left - 1, until
            return True

    def _hold(self, key: str, count: int, until: float) -> None:
        with self._lock:
            if len(self._held) >= MAX_HELD_PARTS:
                self._held.clear()
            # Two threads may have taken a part at the same time.
            self._held[key] = count + self._held.get(key, (0, 0.0))[0], until
