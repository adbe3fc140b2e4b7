"""Watching what processes hold: memory, files, children; and judging at the end whether something leaks."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

import psutil

from tools.chaos.stack import SERVICES, Stack

EVERY_SECONDS = 1.0
MOST_FILES = 128
# What a process may have grown by, since it was new or at the calm before, once it is calm again.
MOST_GROWTH = 192 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one process holds: bytes of memory, files, threads, children."""

    rss: int
    files: int
    threads: int
    children: int


class Listening:
    """Samples the services of a stack from a thread. Use as `with`."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.calm: dict[str, Held] = {}
        self.most: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Listening:
        self.calm = self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> dict[str, Held]:
        """What each service holds now."""
        found = {}
        for name in SERVICES:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(self.stack.services[name].process.pid)
                with process.oneshot():
                    found[name] = Held(
                        rss=process.memory_info().rss,
                        files=process.num_fds(),
                        threads=process.num_threads(),
                        children=len(process.children(recursive=True)),
                    )
        return found

    def leaks(self) -> list[str]:
        """What leaks, looked at when all is calm."""
        found = [f"orphan: {line}" for line in self.stack.strangers()]
        for name, held in self.look().items():
            grown = held.rss - self.calm[name].rss
            if held.files > MOST_FILES:
                found.append(f"{name} has {held.files} open files")
            if held.children:
                found.append(f"{name} has {held.children} children")
            if grown > MOST_GROWTH:
                found.append(f"{name} has grown by {grown >> 20} MiB")
        return found

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            for name, held in self.look().items():
                self.most[name] = max(self.most.get(name, 0), held.rss)
