"""What every loop has: its health, when it is started again, and what is logged of its failures."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

MAX_KINDS_LOGGED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds before a restart: `first`, then doubled up to `longest`, less up to `jitter` of it by chance.

    After `steady` seconds in which it advanced, a loop counts as recovered and starts again at `first`.
    """

    first: float = 0.2
    longest: float = 5.0
    steady: float = 30.0
    jitter: float = 0.5

    def pause(self, failures: int) -> float:
        """failures: how many there were in a row, at least 1."""
        wait = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return wait * (1 - self.jitter * random.random())


DEFAULT_BACKOFF = Backoff()


class LoopEnded(Exception):
    """A loop returned although nobody stopped it."""


class Loop:
    """What both kinds of loop share: the state. stalled_after: seconds without `advance()` after which it is unhealthy.

    expected: errors that are no fault of the code (a server is away); they are logged without a traceback.
    """

    def __init__(
        self,
        name: str,
        *,
        stalled_after: float,
        expected: tuple[type[Exception], ...] = (OSError,),
        backoff: Backoff = DEFAULT_BACKOFF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.running = False
        self.restarts = 0
        self.last_error = ""
        self._stalled_after = stalled_after
        self._expected = expected
        self._backoff = backoff
        self._clock = clock
        self._advanced: float | None = None
        self._up_since: float | None = None  # the first advance since the last start
        self._failures = 0
        self._logged: set[object] = set()

    def advance(self) -> None:
        """The loop has done a round. Call it in each round, also when there was nothing to do."""
        self._advanced = self._clock()
        if self._up_since is None:
            self._up_since = self._advanced
        self._note_recovery()

    @property
    def pulse(self) -> object:
        """Another value after each round and each failure: the same for long means that it hangs."""
        return self._advanced, self.restarts

    def health(self) -> dict[str, Any]:
        """`{ok, running, restarts, last_error, seconds_since_advance}`; last_error is the error's class, without text.

        It is ok from the first round after each start until it fails, ends or stalls.
        """
        since = None if self._advanced is None else max(0.0, self._clock() - self._advanced)
        up = self.running and self._up_since is not None
        return {
            "ok": up and since is not None and since <= self._stalled_after,
            "running": self.running,
            "restarts": self.restarts,
            "last_error": self.last_error,
            "seconds_since_advance": None if since is None else round(since, 1),
        }

    def _failed(self, error: BaseException) -> float:
        """Note a failure. Returns the seconds to wait before the next start."""
        self._note_recovery()
        self._up_since = None
        self._failures += 1
        self.restarts += 1
        self.last_error = type(error).__name__
        pause = self._backoff.pause(self._failures)
        self._log_once(error)
        return pause

    def _note_recovery(self) -> None:
        up, advanced = self._up_since, self._advanced
        if self._failures and up is not None and advanced is not None and advanced - up >= self._backoff.steady:
            log.info("%s runs steadily again", self.name)
            self._failures = 0
            self._logged.clear()

    def _log_once(self, error: BaseException) -> None:
        """Log each kind of failure, which is its class and the line that raised it, once until the loop recovers."""
        place, step = None, error.__traceback__
        while step is not None:
            place, step = (step.tb_frame.f_code, step.tb_lineno), step.tb_next
        kind = (type(error), place)
        if kind in self._logged or len(self._logged) >= MAX_KINDS_LOGGED:
            return
        self._logged.add(kind)
        known = isinstance(error, (*self._expected, LoopEnded))
        text = f"{error}"[:200] or type(error).__name__
        log.log(
            logging.WARNING if known else logging.ERROR,
            "%s failed and is restarted: %s",
            self.name,
            text,
            exc_info=None if known else error,
        )
