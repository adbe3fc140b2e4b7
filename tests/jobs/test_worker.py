"""Worker and scheduler as processes: jobs of another release, bad values in Redis, and rounds that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq.exceptions import StopRequested
from rq.job import JobStatus
from rq_scheduler import Scheduler

from greenpower.bus.job_queue import JsonJob, JsonQueue
from greenpower.config import Settings
from greenpower.jobs.device_sync import devices_entry
from greenpower.jobs.presence import presence_entry
from greenpower.jobs.schedule import QUEUE, JobScheduler
from greenpower.jobs.worker import JobWorker
from greenpower.loops import ThreadLoop
from greenpower.stack.probe import scheduler_trouble, worker_trouble
from tests.jobs import any_job
from tests.process import Command
from tests.wait import wait_until

OLD_PATHS = {"greenpower-devices": "greenpower.jobs.devices.sync", "greenpower-gone": "greenpower.jobs.gone.work"}


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """This test's Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def schedule_as_an_older_release(connection: redis.Redis) -> None:
    for name, path in OLD_PATHS.items():
        Scheduler(QUEUE, connection=connection).schedule(
            datetime.now(UTC).replace(tzinfo=None), path, id=name, interval=60, timeout=120, queue_name=QUEUE
        )


def scheduled(connection: redis.Redis) -> set[str]:
    return {str(key, "utf-8") for key, _ in connection.zscan_iter(JobScheduler.scheduled_jobs_key)}


def still_fails(connection: redis.Redis, command: str, trouble: Callable[[], str]) -> None:
    """There is trouble all the time while a process tries a command four more times, and it never registers."""

    def calls(name: str, what: str) -> int:
        stats: Any = connection.info("commandstats")
        return int(stats.get(f"cmdstat_{name}", {what: 0})[what])

    last, registered = calls(command, "failed_calls") + 4, calls("sadd", "calls")
    wait_until(lambda: (not trouble(), calls(command, "failed_calls") >= last) != (False, False), 60)
    assert trouble() and calls(command, "failed_calls") >= last
    assert calls("sadd", "calls") == registered


def test_entries_of_an_older_release_are_replaced_at_the_start(connection: redis.Redis) -> None:
    schedule_as_an_older_release(connection)
    declared = (devices_entry(), presence_entry())
    JobScheduler(lambda: declared, connection=connection, interval=5, name="test").enqueue_jobs()
    assert scheduled(connection) == {entry.id for entry in declared}
    for entry in declared:
        assert JsonJob.fetch(entry.id, connection=connection).func_name == entry.function
    assert set(JsonQueue(QUEUE, connection=connection).job_ids) == {entry.id for entry in declared}


def test_an_entry_that_cannot_be_read_costs_only_itself(connection: redis.Redis) -> None:
    declared = (devices_entry(), presence_entry())

    def make() -> JobScheduler:
        return JobScheduler(lambda: declared, connection=connection, interval=5, name="test")

    make().enqueue_jobs()
    for entry, spoil in zip(declared, ({"data": b"\x80\xff"}, {"created_at": b"never"}), strict=True):
        connection.hset(f"rq:job:{entry.id}", mapping=spoil)  # type: ignore[arg-type]
    connection.zadd(JobScheduler.scheduled_jobs_key, {b"\xff\xfe": 0, b"no-job": 0})
    connection.delete(JsonQueue(QUEUE, connection=connection).key)
    make().enqueue_jobs()
    assert scheduled(connection) == {entry.id for entry in declared}
    for entry in declared:
        assert JsonJob.fetch(entry.id, connection=connection).func_name == entry.function


def test_a_queued_job_of_an_unknown_function_is_dropped_with_one_line(
    settings: Settings, connection: redis.Redis, tmp_path: Path
) -> None:
    queue = JsonQueue(QUEUE, connection=connection)
    jobs = [queue.enqueue_call(path, job_id=name) for name, path in OLD_PATHS.items()]
    jobs += [queue.enqueue_call("time.no_such_function", job_id="attribute")]
    spoilt = queue.enqueue_call("time.time", job_id="spoilt")
    connection.hset(spoilt.key, "data", b"\xff\xfe")
    good = queue.enqueue_call("time.time", job_id="good")
    with Command(settings, "worker", folder=tmp_path, module=any_job.__name__) as worker:
        wait_until(lambda: good.get_status() == JobStatus.FINISHED, 60)
        assert not any(JsonJob.exists(job.id, connection=connection) for job in (*jobs, spoilt))
        assert queue.failed_job_registry.get_job_ids() == queue.job_ids == []
        lines = worker.log.read_text().splitlines()
        assert all(sum(name in line for line in lines) == 1 for name in (*OLD_PATHS, "attribute", "spoilt"))
        assert connection.llen(queue.intermediate_queue_key) == 0


def test_only_our_own_jobs_run_and_none_that_is_pickled(
    settings: Settings, connection: redis.Redis, tmp_path: Path
) -> None:
    """Who can write to Redis cannot run a function of his choice in the worker, by whatever path."""
    queue = JsonQueue(QUEUE, connection=connection)
    trap, called = tmp_path / "trap", tmp_path / "called"
    with Command(settings, "worker", folder=tmp_path) as worker:
        wait_until(lambda: not worker_trouble(settings.need("REDIS_URL"), worker.process.pid), 60)
        older = Queue(QUEUE, connection=connection).enqueue_call(trap.touch, job_id="pickled")
        paths = ("os.mkdir", "greenpower.jobs.worker.os.mkdir", "greenpower.jobs.worker.Backoff")
        jobs = [queue.enqueue_call(path, args=(str(called),), job_id=f"path-{n}") for n, path in enumerate(paths)]
        good = queue.enqueue_call("greenpower.jobs.worker.is_runnable", args=("",), job_id="good")
        connection.hset(good.key, "success_callback_name", "greenpower.jobs.worker.os.abort")
        wait_until(lambda: good.get_status() == JobStatus.FINISHED, 60)
        assert not any(JsonJob.exists(job.id, connection=connection) for job in (older, *jobs))
        assert not trap.exists() and not called.exists()
        lines = worker.log.read_text().splitlines()
        assert [sum(job.id in line for line in lines) for job in (older, *jobs)] == [1, 1, 1, 1]


def test_a_worker_whose_rounds_fail_does_not_look_alive_and_comes_back(
    settings: Settings, connection: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    queue = JsonQueue(QUEUE, connection=connection)
    with Command(settings, "worker", folder=tmp_path, module=any_job.__name__) as worker:
        wait_until(lambda: not worker_trouble(redis_url, worker.process.pid), 60)
        connection.set(queue.key, "no list")
        wait_until(lambda: worker_trouble(redis_url, worker.process.pid), 60)
        still_fails(connection, "blmove", lambda: worker_trouble(redis_url, worker.process.pid))
        assert worker.log.read_text().count("WRONGTYPE") <= 3
        connection.delete(queue.key)
        job = queue.enqueue_call("time.time")
        wait_until(lambda: job.get_status() == JobStatus.FINISHED, 60)
        wait_until(lambda: not worker_trouble(redis_url, worker.process.pid), 60)
        assert worker.stop() == 0


@pytest.mark.slow
def test_a_scheduler_whose_rounds_fail_does_not_look_alive_and_comes_back(
    settings: Settings, connection: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    with Command(settings, "scheduler", folder=tmp_path) as scheduler:
        wait_until(lambda: not scheduler_trouble(redis_url, scheduler.process.pid), 60)
        connection.set(JobScheduler.scheduled_jobs_key, "no sorted set")
        wait_until(lambda: scheduler_trouble(redis_url, scheduler.process.pid), 60)
        still_fails(connection, "zrangebyscore", lambda: scheduler_trouble(redis_url, scheduler.process.pid))
        connection.delete(JobScheduler.scheduled_jobs_key)
        wait_until(lambda: not scheduler_trouble(redis_url, scheduler.process.pid), 60)
        assert devices_entry().id in scheduled(connection)
        assert scheduler.stop() == 0


def test_both_register_again_when_redis_was_emptied(
    settings: Settings, connection: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    with (
        Command(settings, "worker", folder=tmp_path, module=any_job.__name__) as worker,
        Command(settings, "scheduler", folder=tmp_path) as scheduler,
    ):

        def both_live() -> bool:
            return not worker_trouble(redis_url, worker.process.pid) and not scheduler_trouble(
                redis_url, scheduler.process.pid
            )

        wait_until(both_live, 60)
        connection.flushall()
        wait_until(both_live, 60)


def test_a_signal_just_before_the_look_for_a_job_ends_the_worker(connection: redis.Redis) -> None:
    queue = Queue(QUEUE, connection=connection)
    job = queue.enqueue_call("time.time")
    life = JobWorker(
        connection, "just-before", ThreadLoop("worker", lambda loop: None, stalled_after=60), failed_before=False
    )
    life._stop_requested = True  # as the signal leaves it while RQ calls the worker busy
    with pytest.raises(StopRequested):
        life.dequeue_job_and_maintain_ttl(5)
    assert queue.job_ids == [job.id]
