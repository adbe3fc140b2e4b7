"""A run's lock and time, with a real Valkey."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from greenpower.rollups.lock import TierLock, TimeBudget

NAME = "greenpower:lock:rt/today_"


def test_a_run_goes_on_when_its_lock_expired_unless_another_has_it(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        lock = TierLock(connection, "rt/today_")
        may_continue = TimeBudget(lock, 60)
        assert lock.hold() and may_continue()
        connection.delete(NAME)
        assert may_continue()
        assert connection.ttl(NAME) > 0
        connection.set(NAME, "another's")
        assert not may_continue() and not may_continue.used_up
        lock.release()
        assert connection.get(NAME) == b"another's"


def test_a_run_whose_time_is_over_stops(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        may_continue = TimeBudget(TierLock(connection, "rt/today_"), 0)
        assert not may_continue() and may_continue.used_up


def test_a_lock_whose_answer_was_lost_is_the_runs_own(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is taken, the answer never comes: later the run does not take itself for another one."""
    monkeypatch.setattr("greenpower.rollups.lock.REDIS_RETRY_SECONDS", 0)
    with redis.Redis.from_url(redis_url) as connection:
        lock = TierLock(connection, "rt/today_")
        really_set = connection.set

        def lose_answer(*given: Any, **named: Any) -> None:
            really_set(*given, **named)
            raise redis.TimeoutError

        with monkeypatch.context() as patch:
            patch.setattr(connection, "set", lose_answer)
            assert lock.hold()
        assert connection.exists(NAME)
        assert lock.hold()
        lock.release()
        assert not connection.exists(NAME)


def test_a_redis_that_did_not_answer_is_not_asked_at_every_step(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        lock = TierLock(connection, "rt/today_")
        asked = []

        def refuse(*given: Any, **named: Any) -> None:
            asked.append(given)
            raise redis.ConnectionError

        monkeypatch.setattr(connection, "set", refuse)
        assert all(lock.hold() for _ in range(5))
        assert len(asked) == 1
