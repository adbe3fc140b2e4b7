"""A tier of a large type, which several workers share: who takes which device ranges, and what one leaves to others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from pymongo import MongoClient

from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.jobs.rollup import help_roll, roll
from greenpower.jobs.schedule import QUEUE
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges
from greenpower.mongo.rollups.watermarks import Progress, read_progress
from greenpower.mongo.schema.layout import SEEN, WATERMARKS
from greenpower.rollups.range_groups import MAX_DEVICES_IN_ONE_GROUP
from greenpower.rollups.run import run_tier
from tests.jobs.test_rollup_job import TIER, check_buckets
from tests.wait import wait_until

METERS = 40


def progress_of_tier(settings: Settings) -> Progress:
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as mongo:
        return read_progress(mongo[settings.mongo_db_name][WATERMARKS], *TIER)


@pytest.fixture
def large(connection: redis.Redis, settings: Settings) -> None:
    """Many meters of rt were seen, some have just measured; two workers are registered."""
    now = datetime.now(UTC).replace(microsecond=0)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        db = mongo[settings.mongo_db_name]
        db[SEEN].insert_many(
            {"_id": f"rt|m{number}", "type": "rt", "device_id": f"m{number}", "first_seen": now, "last_heard": now}
            for number in range(MAX_DEVICES_IN_ONE_GROUP + 1)
        )
        db.grid_rt_data.insert_many(
            {
                "device_id": f"m{number}",
                "timestamp": at,
                "updated_at": at,
                "payload": {"ua": 229.0 + number / 7 + minute},
            }
            for number in range(METERS)
            for minute in range(25)
            for at in [now - timedelta(minutes=30 - minute)]
        )
    connection.sadd(f"rq:workers:{QUEUE}", "one", "two")


def noting(taken: list[tuple[int, Ranges]], before: Callable[[], object] = lambda: None) -> Callable[..., Any]:
    """A run that notes which thread takes which ranges."""

    def run(*given: Any, ranges: Ranges, **named: Any) -> Any:
        taken.append((threading.get_ident(), ranges))
        before()
        return run_tier(*given, ranges=ranges, **named)

    return run


@pytest.mark.usefixtures("large")
def test_two_workers_share_a_tier(connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes its first group at the same time as the other; all groups are taken once."""
    taken: list[tuple[int, Ranges]] = []
    both = threading.Barrier(2, timeout=60)
    met: list[int] = []

    def meet() -> None:
        if threading.get_ident() not in met:
            met.append(threading.get_ident())
            both.wait()

    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", noting(taken, meet))
    queue = JsonQueue(QUEUE, connection=connection)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(roll, *TIER)
        # The helper begins when it was asked for.
        wait_until(lambda: queue.jobs or first.done(), 60)
        [asked] = queue.jobs
        assert (asked.func_name, tuple(asked.args)) == ("greenpower.jobs.rollup.help_roll", TIER)
        second = pool.submit(help_roll, *TIER)
        assert first.result()["outcome"] == second.result()["outcome"] == "done"
    assert len({thread for thread, _ in taken}) == 2
    assert sorted(number for _, ranges in taken for number in ranges) == sorted(ALL_RANGES)
    assert first.result()["written"] + second.result()["written"] >= METERS * 25
    progress = progress_of_tier(settings)
    assert progress.error == "" and progress.watermark is not None
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", run_tier)
    for tier in get_registry()["rt"].tiers:
        roll("rt", tier.prefix)
    assert check_buckets(settings) > METERS * 25


@pytest.mark.usefixtures("large")
def test_a_helper_that_comes_late_finds_nothing_to_do(connection: redis.Redis, settings: Settings) -> None:
    assert help_roll(*TIER)["outcome"] == "done"  # nobody has begun: it is as good
    roll(*TIER)
    assert help_roll(*TIER) == {"outcome": "locked"}
    assert not list(connection.scan_iter("greenpower:lock:*"))


@pytest.mark.usefixtures("large")
def test_a_group_that_another_worker_has_is_left_to_it(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, Ranges]] = []
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", noting(taken))
    with connection.lock("greenpower:lock:rt/today_/4-7", timeout=60):
        roll(*TIER)
    assert {number for _, ranges in taken for number in ranges} == ALL_RANGES - set(range(4, 8))
    # It was killed: the next run begins with what has waited longest.
    taken.clear()
    roll(*TIER)
    assert taken[0][1] == frozenset(range(4, 8))


@pytest.mark.usefixtures("large", "connection")
def test_a_group_that_fails_holds_back_no_other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*given: Any, ranges: Ranges, **named: Any) -> Any:
        if 9 in ranges:
            raise ValueError("ours")
        return run_tier(*given, ranges=ranges, **named)

    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", run)
    with pytest.raises(ValueError, match="ours"):
        roll(*TIER)
    progress = progress_of_tier(settings)
    assert progress.error == "device ranges 8-b: ValueError: ours"
    assert {number for number in ALL_RANGES if progress.reached(frozenset((number,)))} == ALL_RANGES - set(range(8, 12))


def test_a_small_type_is_done_by_one_worker(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, Ranges]] = []
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", noting(taken))
    connection.sadd(f"rq:workers:{QUEUE}", "one", "two")
    assert roll(*TIER)["outcome"] == "done"
    assert [ranges for _, ranges in taken] == [ALL_RANGES]
    assert not JsonQueue(QUEUE, connection=connection).jobs
    assert help_roll(*TIER) == {"outcome": "locked"}


@pytest.mark.usefixtures("large")
def test_a_shared_tier_whose_time_is_over_goes_on_with_the_groups_that_were_not_reached(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, Ranges]] = []
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", noting(taken))
    monkeypatch.setattr("greenpower.rollups.job_run.ROLLUP_RUN_SECONDS", -1.0)
    for _ in range(4):
        roll(*TIER)
    assert sorted(number for _, ranges in taken for number in ranges) == sorted(ALL_RANGES)
