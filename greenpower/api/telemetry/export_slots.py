"""How many exports run at once in a process. Each occupies a thread of the server while its reader takes it.

What belongs here: who gets a place. What does not: how slow a reader may be (`greenpower.api.http.connection`).
"""

from __future__ import annotations

from collections import Counter
from threading import Lock

# The other threads are left for short requests, and the last place for another caller.
MAX_EXPORTS = 3
MAX_EXPORTS_PER_CALLER = 2


class ExportSlots:
    """Places for exports. caller: a name that is the same for all requests of one user or key."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._lock = Lock()

    def acquire(self, caller: str) -> bool:
        """Take a place, if there is one for this caller."""
        with self._lock:
            if self._running.total() >= MAX_EXPORTS or self._running[caller] >= MAX_EXPORTS_PER_CALLER:
                return False
            self._running[caller] += 1
            return True

    def release(self, caller: str) -> None:
        """Give a place back."""
        with self._lock:
            self._running[caller] -= 1
            if not self._running[caller]:
                del self._running[caller]


EXPORT_SLOTS = ExportSlots()
