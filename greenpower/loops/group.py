"""All loops of a process: started, stopped and reported together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from greenpower.loops.task import TaskLoop
from greenpower.loops.thread import ThreadLoop

AnyLoop = TypeVar("AnyLoop", ThreadLoop, TaskLoop)


class Loops:
    """All loops of a process: starts and stops them, tells their health, and counts restarts in `registry`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._loops: dict[str, ThreadLoop | TaskLoop] = {}
        if registry is not None:
            registry.register(self)

    def add(self, loop: AnyLoop) -> AnyLoop:
        """Take in a loop, whose name is its own in the process. Returns it."""
        if loop.name in self._loops:
            raise ValueError(f"there is a loop {loop.name!r} already")
        self._loops[loop.name] = loop
        return loop

    def start(self) -> None:
        """Start all that are not started yet."""
        for loop in self._loops.values():
            loop.start()

    def stop(self, timeout: float) -> bool:
        """Stop all threads within `timeout` seconds in total. Returns whether all have ended. Not for asyncio."""
        threads = [loop for loop in self._loops.values() if isinstance(loop, ThreadLoop)]
        for loop in threads:
            loop.request_stop()
        end = time.monotonic() + timeout
        return all([loop.stop(max(0.0, end - time.monotonic())) for loop in threads])

    async def stop_async(self, timeout: float) -> None:
        """Stop all tasks, in the reverse order of their start, and then all threads."""
        for loop in reversed(list(self._loops.values())):
            if isinstance(loop, TaskLoop):
                await loop.stop()
        await asyncio.to_thread(self.stop, timeout)

    def health(self) -> dict[str, dict[str, Any]]:
        """The health of each loop, by name."""
        return {name: loop.health() for name, loop in list(self._loops.items())}

    @property
    def ok(self) -> bool:
        """Whether all loops are well."""
        return all(found["ok"] for found in self.health().values())

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client: `greenpower_loop_restarts_total` and `greenpower_loop_ok`, by loop."""
        restarts = CounterMetricFamily("greenpower_loop_restarts", "restarts of a loop that failed", labels=["loop"])
        ok = GaugeMetricFamily("greenpower_loop_ok", "1 while a loop runs and advances", labels=["loop"])
        for name, found in self.health().items():
            restarts.add_metric([name], found["restarts"])
            ok.add_metric([name], float(found["ok"]))
        yield restarts
        yield ok
