"""A loop in a thread; in a greenlet where eventlet has replaced threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from greenpower.loops.state import Loop, LoopEnded


class ThreadLoop(Loop):
    """A loop in a thread of its own (`start`), or in the caller's (`run`). work: called with this loop."""

    def __init__(self, name: str, work: Callable[[ThreadLoop], object], **options: Any) -> None:
        super().__init__(name, **options)
        self._work = work
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether the work is to return."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but not through a stop. Returns whether the work is to return."""
        return self._stop.wait(seconds)

    def start(self) -> None:
        """Start, unless it was started before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
            self._thread.start()

    def request_stop(self) -> None:
        """Ask the work to return; it is not started again."""
        self._stop.set()

    def stop(self, timeout: float | None = None) -> bool:
        """Stop and wait. Returns whether the thread has ended, which it has not where the work does not return."""
        self.request_stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def run(self) -> None:
        """Run until it is stopped."""
        self.running = True
        try:
            while not self._stop.is_set():
                try:
                    self._work(self)
                    if self._stop.is_set():
                        return
                    raise LoopEnded("it returned by itself")
                except Exception as error:
                    pause = self._failed(error)
                self.wait(pause)
        finally:
            self.running = False
