"""The lock of a tier, and the time budget of a run.

The lock saves work, it guards nothing: of two runs at once the later result stays (`as_of`), with or without a lock. So
a run that cannot reach Redis goes on without its lock.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from uuid import uuid4

from redis import Redis
from redis.exceptions import LockError, RedisError

log = logging.getLogger(__name__)

LOCK_SECONDS = 15
# A Redis that did not answer is asked again after this time, so that a run does not wait for it at every step.
REDIS_RETRY_SECONDS = 10.0


class TierLock:
    """The lock of one tier, for one run. Raises nothing where Redis is away."""

    def __init__(self, redis: Redis, tier_name: str) -> None:
        self.tier_name = tier_name
        self._lock = redis.lock(f"greenpower:lock:{tier_name}", timeout=LOCK_SECONDS, thread_local=False)
        # One token for all of the run: a lock that was taken while the answer got lost is known as its own.
        self._token = uuid4().hex.encode()
        self._lock.local.token = self._token
        self._retry_at = 0.0

    def hold(self) -> bool:
        """Take the lock or prolong it. False where another run has it."""
        if time.monotonic() < self._retry_at:
            return True
        try:
            return self._prolong() or bool(self._lock.acquire(blocking=False, token=self._token))
        except RedisError as error:
            if not self._retry_at:
                log.warning("%s: running without a lock, Redis is away: %s", self.tier_name, error)
            self._retry_at = time.monotonic() + REDIS_RETRY_SECONDS
            return True

    def release(self) -> None:
        """Give the lock up. Where Redis is away it expires."""
        with suppress(LockError, RedisError):
            self._lock.release()

    def _prolong(self) -> bool:
        try:
            return bool(self._lock.reacquire())
        except LockError:  # not taken yet, or expired because a step took longer
            return False


class TimeBudget:
    """Whether a run may continue: its time is not over, and no other run has taken the lock meanwhile."""

    def __init__(self, lock: TierLock, seconds: float, whole: TimeBudget | None = None) -> None:
        self._lock = lock
        self._end = time.monotonic() + seconds
        self._whole = whole
        self.used_up = False

    def share(self, count: int) -> TimeBudget:
        """One of `count` equal shares of what is left of it. Where a share is used up, the whole counts as used up."""
        return TimeBudget(self._lock, (self._end - time.monotonic()) / count, self)

    def __call__(self) -> bool:
        if time.monotonic() > self._end:
            self.used_up = True
            if self._whole is not None:
                self._whole.used_up = True
            return False
        if not self._lock.hold():
            log.warning("%s: the run took longer than its lock; another run goes on", self._lock.tier_name)
            return False
        return True
