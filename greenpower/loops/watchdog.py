"""The watchdog: ends a process that hangs, so that whatever started it starts it again.

What belongs here: noticing that nothing advances, and ending the process. What does not: loops that fail
(`greenpower.loops.state`), restarting (`greenpower.stack.restarter`, Compose, systemd, Kubernetes).

```
main thread or event loop      pulse 1 ─ pulse 2 ─ pulse 3 ─ (hangs)
a thread of its own               look ─── look ─── look ─── look ─ … ─ look: stacks on stderr, exit 70
```

It counts its own looks instead of comparing times: a process that was paused, with the machine or by SIGSTOP, looks
once when it goes on. Where C code holds the interpreter, no thread of Python can look; a timer of `faulthandler`
ends the process then, later and with exit code 1.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)

# sysexits.h: EX_SOFTWARE, an internal error.
HANG_EXIT_CODE = 70
LOOKS = 12
# After so many times the seconds C code is taken to hold the interpreter.
SECOND_LINE = 3


class PulseCounter:
    """Counts the rounds of what is watched: a pulse."""

    def __init__(self) -> None:
        self.count = 0

    def advance(self) -> None:
        """A round is done. Call it at least every few seconds."""
        self.count += 1


class Watchdog:
    """Ends this process when `pulse` gives the same value for some seconds. Use as `with`, around what is watched.

    seconds: 0 for no watchdog. threads: the module `threading`, as it was before eventlet replaced it.
    """

    def __init__(self, name: str, seconds: float, pulse: Callable[[], object], threads: Any = threading) -> None:
        self._name = name
        self._seconds = seconds
        self._pulse = pulse
        self._over = threads.Event()
        self._thread = threads.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        if self._seconds:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._seconds:
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        looks, last = 0, self._pulse()
        while True:
            faulthandler.dump_traceback_later(self._seconds * SECOND_LINE, exit=True)
            if self._over.wait(self._seconds / LOOKS):
                return
            now = self._pulse()
            looks, last = (looks + 1 if now == last else 0), now
            if looks >= LOOKS:
                self._end()

    def _end(self) -> None:
        log.critical("%s has not advanced for %g s and ends; where it hangs follows", self._name, self._seconds)
        faulthandler.dump_traceback()
        os._exit(HANG_EXIT_CODE)


@asynccontextmanager
async def watched_event_loop(name: str, seconds: float) -> AsyncIterator[None]:
    """Within it a watchdog looks after the running event loop."""
    if not seconds:
        yield
        return
    rounds = PulseCounter()

    async def advance() -> None:
        while True:
            rounds.advance()
            await asyncio.sleep(seconds / LOOKS)

    task = asyncio.create_task(advance(), name="watchdog")
    try:
        with Watchdog(name, seconds, lambda: rounds.count):
            yield
    finally:
        task.cancel()
