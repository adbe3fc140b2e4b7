"""A loop in an asyncio task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from greenpower.loops.state import Loop, LoopEnded

CANCEL_AGAIN_SECONDS = 0.5


class TaskLoop(Loop):
    """A loop in an asyncio task of its own (`start`), or in the caller's (`run`). work: called with this loop."""

    def __init__(self, name: str, work: Callable[[TaskLoop], Awaitable[object]], **options: Any) -> None:
        super().__init__(name, **options)
        self._work = work
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def stopping(self) -> bool:
        """Whether the work is to return."""
        return self._stop.is_set()

    async def wait(self, seconds: float) -> bool:
        """Sleep, but not through a stop. Returns whether the work is to return."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self.stopping

    def start(self) -> None:
        """Start in the running event loop, unless it was started before."""
        if self._task is None:
            self._task = asyncio.create_task(self.run(), name=self.name)

    def request_stop(self) -> None:
        """Ask the work to return; it is not cancelled and not started again. Call it on the event loop."""
        self._stop.set()

    async def stop(self) -> None:
        """Cancel the work and wait until it has ended. A library may swallow one cancellation: it gets another."""
        self.request_stop()
        task = self._task
        while task is not None and task is not asyncio.current_task() and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_AGAIN_SECONDS)

    async def run(self) -> None:
        """Run until it is stopped or cancelled."""
        self.running = True
        try:
            while not self._stop.is_set():
                try:
                    await self._work(self)
                    if self._stop.is_set():
                        return
                    raise LoopEnded("it returned by itself")
                except asyncio.CancelledError as error:
                    if self._stop.is_set() or _is_cancelled():
                        raise
                    # Not this task was cancelled, but one that the work was waiting for.
                    pause = self._failed(error)
                except Exception as error:
                    pause = self._failed(error)
                    if _is_cancelled():  # the work turned its cancellation into another error
                        raise asyncio.CancelledError from error
                await self.wait(pause)
        finally:
            self.running = False


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
