"""What the API counts of its requests, in all of its processes: by route and class of status, and how long they took.

The counts are in memory that is made before the processes are forked, one part for each, so any of them can tell the
whole. What belongs here: that memory. What does not: how it is served (`greenpower.api.system.metrics`).
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

# Seconds until an answer begins; the last bucket of a histogram has no end.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_CELL_BYTES = 8
_CELLS = len(STATUS_CLASSES) + len(LATENCY_BUCKETS) + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """The requests of one route. by_status: in order of `STATUS_CLASSES`. by_latency: in order of `LATENCY_BUCKETS`
    and one more for what took longer, not cumulative. seconds: of all together."""

    method: str
    route: str
    by_status: tuple[int, ...]
    by_latency: tuple[int, ...]
    seconds: float


class RequestCounts:
    """The counts. routes: (method, route) of all that is counted. processes: how many may count at once."""

    def __init__(self, routes: Sequence[tuple[str, str]], processes: int) -> None:
        self._routes = list(routes)
        self._places = {route: place for place, route in enumerate(routes)}
        self._part = len(routes) * _CELLS
        # One more, for a process that begins while the one that it replaces ends.
        self._parts = processes + 1
        self._memory = mmap.mmap(-1, max(1, self._parts * self._part * _CELL_BYTES))
        self._cells = memoryview(self._memory).cast("d")
        self._free = list(range(self._parts))
        self._own = 0
        self._lock = Lock()

    def before_fork(self, _server: Any, worker: Any) -> None:
        """Let the process that is forked next have a part of its own. Called by gunicorn's first process."""
        self._own = self._free.pop(0) if self._free else self._parts - 1
        worker.part_of_counts = self._own

    def after_exit(self, _server: Any, worker: Any) -> None:
        """Let the part of a process that has ended be another's, which counts on from there."""
        part = getattr(worker, "part_of_counts", None)
        if part is not None and part not in self._free:
            self._free.append(part)

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. One of a route that is not known is left out."""
        place = self._places.get((method, route))
        if place is None:
            return
        start = self._own * self._part + place * _CELLS
        latency = start + len(STATUS_CLASSES) + bisect_left(LATENCY_BUCKETS, seconds)
        with self._lock:
            self._cells[start + min(max(status // 100, 1), 5) - 1] += 1
            self._cells[latency] += 1
            self._cells[start + _CELLS - 1] += seconds

    def read(self) -> list[RequestCount]:
        """The routes that were asked, of all processes together."""
        found = []
        for place, (method, route) in enumerate(self._routes):
            starts = (part * self._part + place * _CELLS for part in range(self._parts))
            cells = [sum(column) for column in zip(*(self._cells[s : s + _CELLS] for s in starts), strict=True)]
            if any(cells):
                statuses = len(STATUS_CLASSES)
                found.append(
                    RequestCount(
                        method=method,
                        route=route,
                        by_status=tuple(map(int, cells[:statuses])),
                        by_latency=tuple(map(int, cells[statuses:-1])),
                        seconds=cells[-1],
                    )
                )
        return found
