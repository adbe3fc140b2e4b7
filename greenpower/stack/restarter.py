"""Keeping one child alive: start, watch, start again with back-off, stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable

from greenpower.stack.child import Child
from greenpower.stack.process import Say, how_it_ended, start_process
from greenpower.stack.session import kill_session

FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0
STEADY_SECONDS = 30.0  # one that lived so long is given the first delay again
POLL_SECONDS = 0.1
COMPLAIN_AFTER = 15.0  # and again after twice as long, and so on
DRAIN_SECONDS = 1.0
# A child that has answered before and does not any more, so many times in a row, hangs.
SILENT_SECONDS, SILENT_TIMES = 5.0, 12


class Restarter:
    """One child, from the first start until `stop`. `ready` is set while it answers, cleared when it ends."""

    def __init__(self, child: Child, say: Say, changed: Callable[[], None]) -> None:
        self.child = child
        self.ready = asyncio.Event()
        self._say = say
        self._changed = changed
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=f"keep {child.name}")

    @property
    def pid(self) -> int | None:
        """Its process id; None between two lives."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def stop(self) -> None:
        """SIGTERM, the child's `stop_seconds`, then kill -9 for it and all that it forked."""
        self._stopping.set()
        self._terminate()
        _, late = await asyncio.wait({self._task}, timeout=self.child.stop_seconds)
        if late:
            self._say(self.child.name, f"does not end within {self.child.stop_seconds:g} s: killed")
            self.kill()
            await asyncio.wait({self._task})

    def kill(self) -> None:
        """kill -9, for it and all that it forked."""
        if self.pid is not None:
            kill_session(self.pid)

    def _terminate(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
                self._process.send_signal(signal.SIGCONT)  # a paused process would not see it

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                how = await self._live()
            except OSError as error:
                how = f"did not start ({error})"
            if self._stopping.is_set():
                return
            if time.monotonic() - began > STEADY_SECONDS:
                delay = FIRST_DELAY
            self._say(self.child.name, f"{how}; starts again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(2 * delay, LONGEST_DELAY)

    async def _live(self) -> str:
        """One life, from start to end; how it ended."""
        process, output = await start_process(self.child, self._say)
        self._process = process
        self._changed()
        if self._stopping.is_set():  # `stop` came while it was starting and found nothing to signal
            self._terminate()
        watch = asyncio.create_task(self._watch(process.pid))
        code = await process.wait()
        watch.cancel()
        self.ready.clear()
        kill_session(process.pid)  # what it left behind would hold its port and its work
        await asyncio.wait({output}, timeout=DRAIN_SECONDS)
        output.cancel()
        self._changed()
        return how_it_ended(code)

    async def _watch(self, pid: int) -> None:
        """Set `ready` when the child answers; say what is wrong with one that does not. End one that hangs later."""
        began, complain = time.monotonic(), COMPLAIN_AFTER
        while trouble := await asyncio.to_thread(self.child.trouble, pid):
            waited = time.monotonic() - began
            if waited > complain:
                self._say(self.child.name, f"not ready after {waited:.0f} s: {trouble}")
                complain *= 2
            await asyncio.sleep(POLL_SECONDS)
        self.ready.set()
        await self._until_silent(pid)
        self._say(self.child.name, "does not answer any more: killed")
        self.kill()

    async def _until_silent(self, pid: int) -> None:
        missed = 0
        while missed < SILENT_TIMES:
            await asyncio.sleep(SILENT_SECONDS)
            missed = missed + 1 if await asyncio.to_thread(self.child.silent, pid) else 0
