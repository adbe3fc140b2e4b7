"""Keeping one child process alive: start, watch, restart with back-off, stop."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from greenpower.config import ConfigError
from greenpower.loops import TaskLoop
from greenpower.stack.child import Child
from greenpower.stack.process import AnyProcess, Say, how_it_ended, start_process
from greenpower.stack.session import kill_session, reap_session

FIRST_DELAY, LONGEST_DELAY = 0.5, 15.0  # seconds before a restart
STEADY_SECONDS = 30.0  # after a run of this length, the delay is the first one again
POLL_SECONDS = 0.1
COMPLAIN_AFTER = 15.0  # seconds until a child that is not ready is reported, then twice as long each time
OUTPUT_SECONDS = 1.0  # for the rest of the output of a child that has ended
# A child that has answered and then does not answer SILENT_TIMES in a row hangs.
SILENT_SECONDS, SILENT_TIMES = 5.0, 12
HOPELESS_RUNS = 2


class Restarter:
    """One child from the first start until `stop`. `ready` is set when it answers and cleared when it ends."""

    def __init__(self, child: Child, say: Say, changed: Callable[[], None]) -> None:
        self.child = child
        self.ready = asyncio.Event()
        self._no_use: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._has_answered = False
        self._hopeless_runs = 0
        self._say = say
        self._changed = changed
        self._process: AnyProcess | None = None
        # Nothing but `stop` may end it: without it the child would be dead or hang for ever, and nobody would say so.
        self._loop = TaskLoop(f"keep {child.name}", self._keep, stalled_after=math.inf)
        self._task = asyncio.create_task(self._loop.run(), name=self._loop.name)

    @property
    def pid(self) -> int | None:
        """Its process id; None between two runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def until_ready(self) -> None:
        """Wait until it answers. Raises ConfigError where it has never answered and another start is no use."""
        waiting = asyncio.create_task(self.ready.wait())
        futures: set[asyncio.Future[Any]] = {waiting, self._no_use}
        try:
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ConfigError(self._no_use.result())
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """SIGTERM; after the `stop_seconds` of the child, kill -9 for it and its descendants."""
        self._loop.request_stop()
        self._terminate()
        _, late = await asyncio.wait({self._task}, timeout=self.child.stop_seconds)
        if late:
            self._say(self.child.name, f"did not stop within {self.child.stop_seconds:g} s: killed")
            self.kill()
            await asyncio.wait({self._task})

    def kill(self) -> None:
        """kill -9 for it and its descendants."""
        if self._process is not None and self._process.returncode is None:
            self._end(self._process)

    def _end(self, process: AnyProcess) -> None:
        """kill -9 for a process and what it left: that would hold its port and its files. Never raises: a process that
        nobody ends would run on beside the next one."""
        try:
            kill_session(process.pid)
        except Exception as error:
            self._say_safely(f"the processes that it started cannot be found ({error})")
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    def _terminate(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
                self._process.send_signal(signal.SIGCONT)  # a paused process would not see it

    async def _keep(self, loop: TaskLoop) -> None:
        delay = FIRST_DELAY
        while True:
            loop.advance()
            began = time.monotonic()
            try:
                how = await self._run_once()
            except ConfigError as error:
                how = f"did not start ({error})"
                self._note_hopeless(str(error))
            except Exception as error:
                how = f"did not start ({error})"
            if loop.stopping:
                return
            if time.monotonic() - began > STEADY_SECONDS:
                delay = FIRST_DELAY
            self._say(self.child.name, f"{how}; restarting in {delay:g} s")
            if await loop.wait(delay):
                return
            delay = min(2 * delay, LONGEST_DELAY)

    async def _run_once(self) -> str:
        """One run, from start to end; how it ended."""
        for line in await asyncio.to_thread(self.child.before):
            self._say_safely(line)
        process, output = await start_process(self.child, self._say)
        self._process = process
        watch = TaskLoop(f"watch {self.child.name}", partial(self._watch, process.pid), stalled_after=math.inf)
        try:
            self._note_change()
            if self._loop.stopping:  # `stop` was called while it was starting and had nothing to signal
                self._terminate()
            watch.start()
            code = await process.wait()
        finally:
            answered = self.ready.is_set()
            self.ready.clear()
            self._end(process)
            await watch.stop()
            await process.wait()
            await asyncio.to_thread(reap_session, process.pid)
            await asyncio.wait({output}, timeout=OUTPUT_SECONDS)
            output.cancel()
            self._note_change()
        why = "" if answered or self._loop.stopping else await asyncio.to_thread(self._hopeless, code)
        self._note_hopeless(why)
        return why or how_it_ended(code)

    def _note_hopeless(self, why: str) -> None:
        """why: a reason that another start is no use, empty for none. It must be found twice in a row, and before the
        child has ever answered: in a stack that runs, the others go on, and it is tried again and again."""
        self._hopeless_runs = self._hopeless_runs + 1 if why else 0
        if self._hopeless_runs >= HOPELESS_RUNS and not self._has_answered and not self._no_use.done():
            self._no_use.set_result(why)

    def _hopeless(self, code: int) -> str:
        try:
            return self.child.hopeless(code)
        except Exception:
            return ""

    def _say_safely(self, line: str) -> None:
        with contextlib.suppress(Exception):
            self._say(self.child.name, line)

    def _note_change(self) -> None:
        """Say that the child has started or ended. Where that cannot be noted, the child is none the worse for it."""
        try:
            self._changed()
        except Exception as error:
            self._say_safely(f"its process id cannot be noted ({error})")

    async def _watch(self, pid: int, loop: TaskLoop) -> None:
        """Set `ready` when the child answers, and report why it does not. Kill it if it hangs later."""
        began, complain = time.monotonic(), COMPLAIN_AFTER
        loop.advance()
        while trouble := await asyncio.to_thread(self._trouble, pid):
            waited = time.monotonic() - began
            if waited > complain:
                self._say(self.child.name, f"not ready after {waited:.0f} s: {trouble}")
                complain *= 2
            await asyncio.sleep(POLL_SECONDS)
        self._has_answered = True
        self.ready.set()
        await self._until_silent(pid)
        self.kill()
        loop.request_stop()
        self._say(self.child.name, "stopped answering: killed")

    async def _until_silent(self, pid: int) -> None:
        missed = 0
        while missed < SILENT_TIMES:
            await asyncio.sleep(SILENT_SECONDS)
            missed = missed + 1 if await asyncio.to_thread(self._silent, pid) else 0

    def _trouble(self, pid: int) -> str:
        """Why the child does not answer; a check that fails is no reason to stop watching."""
        try:
            return self.child.trouble(pid)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def _silent(self, pid: int) -> bool:
        """Whether the child has stopped answering; a check that fails does not know."""
        try:
            return self.child.silent(pid)
        except Exception:
            return False
