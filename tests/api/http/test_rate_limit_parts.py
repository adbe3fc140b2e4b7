"""Limits counted in parts: never more than the limit, and hardly less."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import parse
from limits.storage import MemoryStorage, RedisStorage, Storage

from greenpower.api.http.rate_limit_parts import MAX_REQUESTS_PER_PART, PARTS_PER_LIMIT, PartsRateLimiter


class Counting(MemoryStorage):
    """Counts how often it is asked."""

    asked = 0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        self.asked += 1
        return super().incr(key, expiry, amount)


def test_a_large_limit_is_taken_in_parts_and_a_small_one_by_one() -> None:
    storage = Counting()
    limiter = PartsRateLimiter(storage)
    large = parse("6000 per hour")
    assert sum(limiter.hit(large, "one") for _ in range(7000)) == 6000
    assert storage.asked == PARTS_PER_LIMIT + 1000
    assert limiter.hit(large, "other")
    huge, before = parse("1000000 per hour"), storage.asked
    assert all(limiter.hit(huge, "one") for _ in range(10 * MAX_REQUESTS_PER_PART)) and storage.asked == before + 10
    small = parse(f"{PARTS_PER_LIMIT} per hour")
    assert [limiter.hit(small, "one") for _ in range(PARTS_PER_LIMIT + 2)] == [True] * PARTS_PER_LIMIT + [False] * 2


@pytest.fixture(params=["memory", "redis"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return MemoryStorage()
    return RedisStorage(request.getfixturevalue("redis_url"))


def test_processes_that_share_a_limit_never_let_more_pass(storage: Storage) -> None:
    limit = parse("1000 per hour")
    processes = [PartsRateLimiter(storage) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        passed = sum(pool.map(lambda number: processes[number % 3].hit(limit, "many"), range(1500)))
    # Each may hold a part that no request has used.
    assert 1000 - len(processes) * 1000 // PARTS_PER_LIMIT <= passed <= 1000


def test_a_held_part_ends_with_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Counting()
    limiter, limit = PartsRateLimiter(storage), parse("6000 per minute")
    assert limiter.hit(limit, "one") and limiter.hit(limit, "one") and storage.asked == 1
    later = time.time() + 61
    monkeypatch.setattr("greenpower.api.http.rate_limit_parts.time.time", lambda: later)
    assert limiter.hit(limit, "one") and storage.asked == 2
