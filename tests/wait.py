"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def busy() -> float:
    """How many times longer something may take because the machine has other work, 1 where it has none."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], T], timeout: float = 10, *, every: float = 0.02) -> T:
    """Call `condition` until it answers something true, and return that. Fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            name = getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"not within {timeout} s: {name}, last answer {answer!r}")
        time.sleep(every)
