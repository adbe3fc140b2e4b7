"""The job of a tier as RQ calls it: its lock, its time, and a database that is away for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.jobs.rollup import roll, roll_all
from greenpower.jobs.schedule import QUEUE, JobScheduler, rollup_entry
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.rollups.job_run import MAX_RUN_ATTEMPTS
from greenpower.rollups.plan import all_plans
from greenpower.rollups.run import run_tier
from tests.rollups.truth import check_type
from tools.chaos.link import Link

TIER = ("rt", "today_")


@pytest.fixture
def link(connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    """The way from the job to this test's Redis; `connection` does not use it."""
    monkeypatch.setattr("greenpower.jobs.rollup.REDIS_SECONDS", 0.3)
    monkeypatch.setattr("greenpower.rollups.lock.REDIS_RETRY_SECONDS", 0.0)
    address = connection.connection_pool.connection_kwargs
    with Link(address["port"]) as link:
        url = f"redis://:{address['password']}@127.0.0.1:{link.port}/{address.get('db', 0)}"
        monkeypatch.setenv("REDIS_URL", url)
        yield link


def store_readings(settings: Settings, count: int = 1) -> None:
    """Readings of one meter in the last half an hour."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        mongo[settings.mongo_db_name].grid_rt_data.insert_many(
            {"device_id": "m1", "timestamp": at, "updated_at": at, "payload": {"ua": 229.0 + number}}
            for number in range(count)
            for at in [begin + timedelta(seconds=10 * number)]
        )


def check_buckets(settings: Settings) -> int:
    """Compare every bucket of every tier of rt with the plain recomputation. Returns how many there are."""
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as mongo:
        return check_type(mongo[settings.mongo_db_name], get_registry()["rt"], settings, datetime.now(UTC))


def noted_error(settings: Settings) -> str:
    """The error of the tier's last run as it is kept."""
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        kept = mongo[settings.mongo_db_name][WATERMARKS].find_one({"type": "rt", "prefix": "today_"})
    assert kept is not None
    return str(kept["error"])


def breaking(break_link: Callable[[], None], *, after: bool) -> Callable[..., Any]:
    """A run before which, or after which, something happens to the link."""

    def run(*given: Any, **named: Any) -> Any:
        if after:
            counts = run_tier(*given, **named)
            break_link()
            return counts
        break_link()
        return run_tier(*given, **named)

    return run


def failing(times: int, error: Exception) -> Callable[..., Any]:
    """A run that fails so many times before it does its work."""
    left = [error] * times

    def run(*given: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return run_tier(*given, **named)

    return run


def test_a_tier_that_is_not_declared_is_left(connection: redis.Redis) -> None:
    assert roll("rt", "gone_") == roll("nothing", "today_") == {"outcome": "not_declared"}


def test_of_two_runs_the_second_leaves_it_to_the_first(connection: redis.Redis) -> None:
    with connection.lock("greenpower:lock:rt/today_", timeout=15):
        assert roll(*TIER) == {"outcome": "locked"}
    assert roll(*TIER)["written"] == 0
    assert not connection.exists("greenpower:lock:rt/today_")


def test_a_run_whose_time_is_over_queues_the_next(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = datetime.now(UTC) - timedelta(minutes=30)
    reading = {"device_id": "m1", "timestamp": measured, "updated_at": measured, "payload": {"ua": 229.0}}
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        mongo[settings.mongo_db_name].grid_rt_data.insert_one(reading)
    entries = [rollup_entry(plan) for plan in all_plans(get_registry(), settings)]
    JobScheduler(lambda: entries, connection=connection, interval=5, name="test").bring_up_to_date([])
    queue = JsonQueue(QUEUE, connection=connection)
    assert not queue.jobs
    monkeypatch.setattr("greenpower.rollups.job_run.ROLLUP_RUN_SECONDS", -1.0)
    roll(*TIER)
    # Itself, and the tier above, for which there are windows that are done.
    assert [tuple(job.args) for job in queue.jobs] == [TIER, ("rt", "last_7_days_")]


def test_tiers_that_are_due_together_are_computed_in_one_job(connection: redis.Redis, settings: Settings) -> None:
    store_readings(settings, count=20)
    prefixes = [plan.tier.prefix for plan in all_plans([get_registry()["rt"]], settings)]
    found = roll_all("rt", *prefixes, "gone_")
    assert list(found) == [*prefixes, "gone_"]
    assert {prefix: answer["outcome"] for prefix, answer in found.items()} == {
        **dict.fromkeys(prefixes, "done"),
        "gone_": "not_declared",
    }
    assert check_buckets(settings) > 5
    assert not JsonQueue(QUEUE, connection=connection).jobs, "what the job has done itself is not queued"


@pytest.mark.parametrize("failing_first", [1, 2])
def test_a_tier_that_fails_does_not_hold_back_those_above(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, failing_first: int
) -> None:
    store_readings(settings)
    plans = all_plans([get_registry()["rt"]], settings)
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", failing(failing_first, ValueError("ours")))
    with pytest.raises(ValueError, match="ours"):
        roll_all("rt", *(plan.tier.prefix for plan in plans))
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        kept = mongo[settings.mongo_db_name][WATERMARKS].find({"ran_at": {"$exists": True}})
        ran = {one["prefix"]: one.get("error", "") for one in kept}
    assert len(ran) == len(plans)
    assert sum("ours" in error for error in ran.values()) == failing_first


@pytest.mark.parametrize("times", [1, MAX_RUN_ATTEMPTS - 1])
def test_a_database_that_is_away_is_tried_again(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", failing(times, AutoReconnect("away")))
    assert roll(*TIER)["written"] == 0


@pytest.mark.parametrize(("times", "error"), [(MAX_RUN_ATTEMPTS, AutoReconnect("away")), (1, ValueError("ours"))])
def test_a_failure_is_noted_and_raised(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, times: int, error: Exception
) -> None:
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", failing(times, error))
    with pytest.raises(type(error), match=str(error)):
        roll(*TIER)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        kept = mongo[settings.mongo_db_name][WATERMARKS].find_one({"type": "rt", "prefix": "today_"})
    assert kept is not None and kept["error"] == f"{type(error).__name__}: {error}"
    assert not connection.exists("greenpower:lock:rt/today_")


Fault = Callable[[Link], None]
FAULTS = pytest.mark.parametrize("fault", [Link.cut, Link.silence], ids=["refusing", "hanging"])


@FAULTS
def test_a_run_needs_no_redis(link: Link, settings: Settings, fault: Fault) -> None:
    """The lock only saves work; waiting for a Redis that hangs is bounded."""
    store_readings(settings)
    fault(link)
    assert all(roll("rt", plan.tier.prefix) for plan in all_plans([get_registry()["rt"]], settings))
    assert check_buckets(settings) == 5
    assert noted_error(settings) == ""


@FAULTS
@pytest.mark.parametrize("after", [False, True], ids=["in the run", "at its end"])
def test_a_run_goes_on_when_redis_goes_away(
    link: Link, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Fault, after: bool
) -> None:
    """In the run: the lock cannot be kept. At its end: the next tier cannot be queued, the lock not be released."""
    store_readings(settings)
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", breaking(lambda: fault(link), after=after))
    assert roll(*TIER)["written"] == 1
    assert noted_error(settings) == ""


@FAULTS
def test_a_run_takes_its_lock_when_redis_is_back(
    link: Link, connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    name = "greenpower:lock:rt/today_"
    held = []

    def run(*given: Any, may_continue: Callable[[], bool], **named: Any) -> Any:
        held.append(connection.exists(name))
        assert may_continue()
        link.heal()
        assert may_continue()
        held.append(connection.exists(name))
        return run_tier(*given, may_continue=may_continue, **named)

    fault(link)
    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", run)
    store_readings(settings)
    assert roll(*TIER)["written"] == 1
    assert held == [0, 1]
    assert not connection.exists(name)


def test_two_runs_at_once_without_a_lock_give_the_right_buckets(
    link: Link, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_readings(settings, count=150)
    link.cut()
    both = threading.Barrier(2, timeout=60)

    def run(*given: Any, **named: Any) -> Any:
        both.wait()
        return run_tier(*given, **named)

    monkeypatch.setattr("greenpower.rollups.job_run.run_tier", run)
    for _ in range(2):
        for plan in all_plans([get_registry()["rt"]], settings):
            with ThreadPoolExecutor(2) as pool:
                done = list(pool.map(lambda _, prefix=plan.tier.prefix: roll("rt", prefix), range(2)))
            assert len(done) == 2
    assert check_buckets(settings) > 25


def test_a_run_is_done_although_it_cannot_tell_what_comes_next(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away after the results were stored: the schedule brings the next tier."""
    store_readings(settings)

    def away(*given: Any) -> None:
        raise AutoReconnect("away")

    monkeypatch.setattr("greenpower.rollups.job_run.read_progress", away)
    assert roll(*TIER)["written"] == 1
    assert noted_error(settings) == ""
