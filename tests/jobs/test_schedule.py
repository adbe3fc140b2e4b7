"""The schedule in Redis: brought up to date, no doubles; and worker and scheduler as processes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from pymongo import MongoClient

from greenpower.bus.job_queue import JsonJob, JsonQueue
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.jobs.schedule import QUEUE, Entry, JobScheduler, push, rollup_entries, set_next_run
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.rollups.plan import all_plans, make_plans
from tests.process import Command
from tests.rollups.truth import check_type
from tests.rollups.world import ENERGY, POWER
from tests.wait import wait_until


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """This test's Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def entries(settings: Settings) -> list[Entry]:
    return rollup_entries(all_plans((POWER, ENERGY), settings))


def scheduler(connection: redis.Redis, *declared: Entry) -> JobScheduler:
    return JobScheduler(lambda: declared, connection=connection, interval=5, name="test")


def make_due(connection: redis.Redis) -> None:
    for key, _ in connection.zscan_iter(JobScheduler.scheduled_jobs_key):
        connection.zadd(JobScheduler.scheduled_jobs_key, {str(key, "utf-8"): 0})


def test_every_tier_is_in_a_job(settings: Settings) -> None:
    every = {(entry.name, *entry.args[1:]): entry.every // 60 for entry in entries(settings)}
    assert every == {
        ("rollup-power", "today_", "last_7_days_", "last_30_days_"): 1,
        ("rollup-power-last_6_months_", "last_6_months_"): 6,
        ("rollup-power-this_year_", "this_year_"): 15,
        ("rollup-energy", "today_", "last_7_days_"): 1,
        ("rollup-energy-last_30_days_", "last_30_days_"): 5,
        ("rollup-energy-last_6_months_", "last_6_months_"): 6,
        ("rollup-energy-this_year_", "this_year_"): 15,
    }


def test_a_job_waits_in_the_queue_once_however_long_workers_are_away(
    settings: Settings, connection: redis.Redis
) -> None:
    declared = entries(settings)
    queue = JsonQueue(QUEUE, connection=connection)
    for _ in range(3):
        scheduler(connection, *declared).enqueue_jobs()
        make_due(connection)
    assert sorted(queue.job_ids) == sorted(entry.id for entry in declared)
    push(connection, declared[0])
    assert len(queue.job_ids) == len(declared)
    connection.delete(queue.key)
    not_scheduled = Entry(name="of-a-tier", function="x", args=(), every=60)
    for _ in range(2):
        push(connection, not_scheduled)
        assert queue.job_ids == [not_scheduled.id]


def test_a_job_with_nothing_to_do_runs_later(settings: Settings, connection: redis.Redis) -> None:
    first, second, *_ = entries(settings)
    scheduler(connection, first).enqueue_jobs()
    for seconds in (600, 10):
        set_next_run(connection, first, seconds)
        due = connection.zscore(JobScheduler.scheduled_jobs_key, first.id)
        assert due is not None and abs(due - datetime.now(UTC).timestamp() - seconds) < 5
    set_next_run(connection, second, 10)  # not scheduled, and stays so
    assert connection.zcard(JobScheduler.scheduled_jobs_key) == 1


def test_the_schedule_follows_the_declarations(settings: Settings, connection: redis.Redis) -> None:
    first, second, *_ = entries(settings)
    connection.zadd(JobScheduler.scheduled_jobs_key, {"somebody's": 9e9})
    scheduler(connection, first, second).enqueue_jobs()
    due = connection.zscore(JobScheduler.scheduled_jobs_key, first.id)
    changed = Entry(name=second.name, function=second.function, args=second.args, every=1800)
    scheduler(connection, first, changed).enqueue_jobs()
    assert connection.zscore(JobScheduler.scheduled_jobs_key, first.id) == due
    assert JsonJob.fetch(second.id, connection=connection).meta["interval"] == 1800
    going = scheduler(connection, first)
    going.enqueue_jobs()
    assert connection.zscore(JobScheduler.scheduled_jobs_key, second.id) is None
    connection.flushall()
    going.enqueue_jobs()
    assert connection.zscore(JobScheduler.scheduled_jobs_key, first.id) is not None


def test_worker_and_scheduler_fill_the_tiers(settings: Settings, tmp_path: Path) -> None:
    """Readings of the last 26 hours, in which neither ran; each job is done once, without the next minute's help."""
    solar = get_registry()["solar"]
    now = datetime.now(UTC).replace(microsecond=0)
    settings = settings.model_copy(update={"log_level": "INFO"})
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (solar,), settings)
        db[solar.collection].insert_many(
            {
                "device_id": "GWCCCL0001",
                "topic": "GWCCCL0001",
                "timestamp": now - timedelta(hours=26) + timedelta(minutes=6) * index,
                "payload": {"current_a": index / 7, "active_energy_delivered": 1_000 * index},
            }
            for index in range(26 * 10)
        )
        with Command(settings, "worker", folder=tmp_path), Command(settings, "scheduler", folder=tmp_path):
            last = make_plans(solar, settings)[-1]

            def filled() -> bool:
                found = db.rollup_watermarks.find_one({"_id": last.name})
                return found is not None and "watermark" in found and found.get("error") == ""

            wait_until(filled, 60)
        assert check_type(db, solar, settings, datetime.now(UTC)) > 300
