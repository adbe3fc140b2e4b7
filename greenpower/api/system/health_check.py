"""Health checks: how a part of the system is asked. Each check is bounded in time and never runs twice at once.

A part that did not answer is not waited for as long again: whoever asks while it is away is answered soon. The run goes
on meanwhile, and as soon as one has an answer the part is waited for as before.

What does not belong here: the checks themselves (`greenpower.api.system.data_checks` and
`greenpower.api.system.process_checks`), what their results mean for a caller (`greenpower.api.system.health`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread

HEALTH_CHECK_SECONDS = 2.0
# For one that did not answer before, or is known to be away.
SILENT_CHECK_SECONDS = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check. detail: what is wrong, without secrets."""

    ok: bool
    detail: str = ""
    milliseconds: float = 0.0


@dataclass(slots=True)
class Check:
    """One part of the system.

    probe: returns what is wrong, empty if nothing is; the text goes to callers, so it must hold no secrets. If it
    hangs, everyone who asks waits for the same run. away: whether it is known that nobody would answer.
    """

    name: str
    probe: Callable[[], str]
    away: Callable[[], bool] = lambda: False
    _lock: Lock = field(default_factory=Lock)
    _running: Future[Finding] | None = None
    _silent: bool = False

    @property
    def seconds(self) -> float:
        """How long its answer is waited for."""
        return SILENT_CHECK_SECONDS if self._silent or self.away() else HEALTH_CHECK_SECONDS

    def start(self) -> Future[Finding]:
        """Start the probe, or join the run that is under way."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                Thread(target=self._run, args=(self._running,), daemon=True, name=f"check-{self.name}").start()
            return self._running

    def _run(self, future: Future[Finding]) -> None:
        began = time.monotonic()
        silent = False
        try:
            detail = self.probe()
        except Exception as error:  # whatever a driver raises; its text may name users and hosts, so only its class
            silent, detail = True, f"does not answer ({type(error).__name__})"
        milliseconds = round((time.monotonic() - began) * 1000, 1)
        with self._lock:
            self._silent = silent
            future.set_result(Finding(ok=not detail, detail=detail, milliseconds=milliseconds))

    def wait(self, future: Future[Finding], seconds: float, deadline: float) -> Finding:
        """The result of a run, a failure where there is none when the deadline is over. seconds: that it had."""
        with suppress(NoAnswer):
            return future.result(max(0.0, deadline - time.monotonic()))
        with self._lock:
            if future.done():
                return future.result()
            self._silent = True
        return Finding(ok=False, detail=f"no answer within {seconds:g} s", milliseconds=seconds * 1000)


def run_checks(checks: Iterable[Check]) -> dict[str, Finding]:
    """Run checks in parallel; one that has not answered after its `seconds` has failed."""
    began = time.monotonic()
    started = [(check, check.seconds, check.start()) for check in checks]
    return {check.name: check.wait(future, seconds, began + seconds) for check, seconds, future in started}
