"""Waiting for a condition instead of sleeping.

A machine may stand still for seconds at any moment. So a wait is long: it costs nothing where the condition comes true.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# What any wait may take at least, also where a test expects its end within moments.
PATIENCE_SECONDS = 60.0
# A wait that nothing ends is to fail before the test's own timeout.
LONGEST_STRETCH = 4.0


def busy() -> float:
    """How many times longer something may take because the machine has other work, 1 where it has none."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], T], timeout: float = 10, *, every: float = 0.02) -> T:
    """Call `condition` until it answers something true, and return that. Fails after `timeout` seconds, but not before
    `PATIENCE_SECONDS`, and where the machine has other work after as many times longer as that lets it take.
    """
    begin = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() - begin > max(timeout, PATIENCE_SECONDS) * min(busy(), LONGEST_STRETCH):
            name = getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"not within {max(timeout, PATIENCE_SECONDS)} s: {name}, last answer {answer!r}")
        time.sleep(every)


async def until(condition: Callable[[], object], timeout: float = PATIENCE_SECONDS, *, every: float = 0.01) -> None:
    """`wait_until` on an event loop, which goes on meanwhile."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > max(timeout, PATIENCE_SECONDS) * min(busy(), LONGEST_STRETCH):
            raise AssertionError(f"not within {timeout} s: {getattr(condition, '__qualname__', repr(condition))}")
        await asyncio.sleep(every)
