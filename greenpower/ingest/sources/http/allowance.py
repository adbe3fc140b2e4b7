"""How much each of many may do in a minute: an allowance that fills up again steadily.

What belongs here: counting. What does not: what is counted, and what follows (`access`).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

# Beyond it the one that was used longest ago is forgotten; it is full again then.
MAX_ALLOWANCES = 10_000
ONE_MINUTE = 60.0


class Allowances:
    """One for each key. per_minute: what each has; 0: no limit. clock: seconds. What is taken may be more than is left:
    nothing is left then until that much time has passed."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait(self, key: Hashable) -> int:
        """Seconds until something is left, rounded up; 0 where something is."""
        if not self._per_minute:
            return 0
        left = self._now_left(key)
        return 0 if left > 0 else max(1, math.ceil((1 - left) * ONE_MINUTE / self._per_minute))

    def take(self, key: Hashable, amount: int = 1) -> None:
        """Take some."""
        if self._per_minute:
            self._left[key] = self._now_left(key) - amount, self._clock()
            self._left.move_to_end(key)
            if len(self._left) > MAX_ALLOWANCES:
                self._left.popitem(last=False)

    def _now_left(self, key: Hashable) -> float:
        left, at = self._left.get(key, (float(self._per_minute), self._clock()))
        return min(self._per_minute, left + (self._clock() - at) * self._per_minute / ONE_MINUTE)
