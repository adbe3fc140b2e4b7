"""The job of a tier as RQ calls it: its lock, its time, and a database that is away for a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from pymongo import MongoClient
from pymongo.errors import AutoReconnect
from rq import Queue

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.jobs.rollup import TRIES, roll
from greenpower.jobs.schedule import QUEUE, JobScheduler, rollup_entry
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import WATERMARKS, ensure_indexes
from greenpower.rollups.plan import all_plans
from greenpower.rollups.run import run_tier
from tests.process import environment

TIER = ("rt", "today_")


@pytest.fixture
def connection(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """This test's Redis; the job finds all else by the environment, as in a worker's child."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("greenpower.jobs.rollup.FIRST_PAUSE", 0.01)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        ensure_indexes(mongo[settings.mongo_db_name], get_registry(), settings)
    with redis.Redis.from_url(settings.redis_address) as client:
        yield client


def failing(times: int, error: Exception) -> Callable[..., Any]:
    """A run that fails so many times before it does its work."""
    left = [error] * times

    def run(*given: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return run_tier(*given, **named)

    return run


def test_a_tier_that_is_not_declared_is_left(connection: redis.Redis) -> None:
    assert roll("rt", "gone_") == roll("nothing", "today_") == "not declared any more"


def test_of_two_runs_the_second_leaves_it_to_the_first(connection: redis.Redis) -> None:
    with connection.lock("greenpower:lock:rt/today_", timeout=15):
        assert roll(*TIER) == "another run is at it"
    assert roll(*TIER).startswith("0 written")
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
    queue = Queue(QUEUE, connection=connection)
    assert not queue.jobs
    monkeypatch.setattr("greenpower.jobs.rollup.SECONDS", -1.0)
    roll(*TIER)
    # Itself, and the tier above, for which there are windows that are done.
    assert [tuple(job.args) for job in queue.jobs] == [TIER, ("rt", "last_7_days_")]


@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_a_database_that_is_away_is_tried_again(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr("greenpower.jobs.rollup.run_tier", failing(times, AutoReconnect("away")))
    assert roll(*TIER).startswith("0 written")


@pytest.mark.parametrize(("times", "error"), [(TRIES, AutoReconnect("away")), (1, ValueError("a fault of ours"))])
def test_a_failure_is_noted_and_raised(
    connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, times: int, error: Exception
) -> None:
    monkeypatch.setattr("greenpower.jobs.rollup.run_tier", failing(times, error))
    with pytest.raises(type(error), match=str(error)):
        roll(*TIER)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        kept = mongo[settings.mongo_db_name][WATERMARKS].find_one({"type": "rt", "prefix": "today_"})
    assert kept is not None and kept["error"] == f"{type(error).__name__}: {error}"
    assert not connection.exists("greenpower:lock:rt/today_")
