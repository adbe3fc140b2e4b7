"""Health checks: how a part of the system is asked. Each check is bounded in time and never runs twice at once.

What does not belong here: the checks themselves (`greenpower.api.system.data_checks` and
`greenpower.api.system.process_checks`), what their results mean for a caller (`greenpower.api.system.health`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass, field
from threading import Lock, Thread

HEALTH_CHECK_SECONDS = 2.0


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
    hangs, everyone who asks waits for the same run.
    """

    name: str
    probe: Callable[[], str]
    _lock: Lock = field(default_factory=Lock)
    _running: Future[Finding] | None = None

    def start(self) -> Future[Finding]:
        """Start the probe, or join the run that is under way."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                Thread(target=self._run, args=(self._running,), daemon=True, name=f"check-{self.name}").start()
            return self._running

    def _run(self, future: Future[Finding]) -> None:
        began = time.monotonic()
        try:
            detail = self.probe()
        except Exception as error:  # whatever a driver raises; its text may name users and hosts, so only its class
            detail = f"does not answer ({type(error).__name__})"
        milliseconds = round((time.monotonic() - began) * 1000, 1)
        future.set_result(Finding(ok=not detail, detail=detail, milliseconds=milliseconds))


def run_checks(checks: Iterable[Check]) -> dict[str, Finding]:
    """Run checks in parallel; one that has not answered after `HEALTH_CHECK_SECONDS` has failed."""
    started = {check.name: check.start() for check in checks}
    deadline = time.monotonic() + HEALTH_CHECK_SECONDS
    found = {}
    for name, future in started.items():
        try:
            found[name] = future.result(max(0.0, deadline - time.monotonic()))
        except NoAnswer:
            detail = f"no answer within {HEALTH_CHECK_SECONDS:g} s"
            found[name] = Finding(ok=False, detail=detail, milliseconds=HEALTH_CHECK_SECONDS * 1000)
    return found
