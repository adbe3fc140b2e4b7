"""`greenpower worker` (for any function) and `scheduler` as processes: work, heartbeats, Redis away, a warm stop."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import redis
from rq.job import Job, JobStatus

from greenpower.bus.job_queue import JsonQueue
from greenpower.jobs.schedule import QUEUE
from greenpower.stack import Valkey
from greenpower.stack.probe import registry_silent, scheduler_trouble, worker_trouble
from tests.jobs import any_job
from tests.wait import wait_until

# `greenpower worker`, told to stop in the middle of its first line on a Redis that is away.
STOPPED_IN_A_LINE = """
import logging, os, signal
from greenpower.cli.main import main

class Stopping(logging.Handler):
    told = False

    def emit(self, record):
        if "could not connect" in record.getMessage() and not self.told:
            self.told = True
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                for _ in range(1_000):
                    pass
            except Exception:  # as every handler of logging does
                self.handleError(record)

logging.getLogger("rq.worker").addHandler(Stopping())
main()
"""
START_SECONDS = 40  # of a process, on a machine that is busy with other tests
TROUBLE = {"worker": worker_trouble, "scheduler": scheduler_trouble}


@contextlib.contextmanager
def running(command: str, url: str, *python: str) -> Iterator[subprocess.Popen[bytes]]:
    run = [sys.executable, *(python or ("-m", any_job.__name__)), command]
    process = subprocess.Popen(run, env={**os.environ, "REDIS_URL": url})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def answering(command: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    with running(command, url) as process:
        wait_until(lambda: not TROUBLE[command](url, process.pid), START_SECONDS)
        yield process


def has_status(job: Job, status: JobStatus) -> bool:
    return job.get_status() == status


def test_a_worker_finishes_its_job_before_it_stops(redis_url: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with redis.Redis.from_url(redis_url) as connection, answering("worker", redis_url) as process:
        job = JsonQueue(QUEUE, connection=connection).enqueue("os.open", f"{tmp_path}/pipe", os.O_RDONLY)
        wait_until(lambda: has_status(job, JobStatus.STARTED))
        process.terminate()
        os.close(os.open(tmp_path / "pipe", os.O_WRONLY))  # the job has waited for somebody who writes
        assert process.wait(60) == 0
        assert has_status(job, JobStatus.FINISHED)
        assert registry_silent(worker_trouble(redis_url, process.pid))


def test_a_scheduler_queues_what_is_due_for_the_worker(redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url) as connection,
        answering("scheduler", redis_url) as scheduler,
        answering("worker", redis_url),
    ):
        # rq-scheduler takes naive UTC.
        due = datetime.now(UTC).replace(tzinfo=None)
        job = any_job.schedule(connection, due, "time.time")
        wait_until(lambda: has_status(job, JobStatus.FINISHED), 15)
        scheduler.terminate()
        assert scheduler.wait(60) == 0
        assert registry_silent(scheduler_trouble(redis_url, scheduler.pid))


def test_redis_may_come_late_go_and_come_back(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    with running("worker", valkey.url) as worker, running("scheduler", valkey.url) as scheduler, valkey:
        wait_until(lambda: not worker_trouble(valkey.url, worker.pid), START_SECONDS)
        wait_until(lambda: not scheduler_trouble(valkey.url, scheduler.pid), START_SECONDS)
        valkey.kill()
        assert "Redis" in worker_trouble(valkey.url, worker.pid)
        assert "Redis" in scheduler_trouble(valkey.url, scheduler.pid)
        with redis.Redis.from_url(valkey.start().url) as connection:
            due = datetime.now(UTC).replace(tzinfo=None)
            job = any_job.schedule(connection, due, "time.time")
            wait_until(lambda: has_status(job, JobStatus.FINISHED), 30)
        valkey.kill()
        for process in (worker, scheduler):
            process.terminate()
            assert process.wait(60) == 0


def test_a_worker_that_is_told_to_stop_while_it_writes_a_line_stops(tmp_path: Path) -> None:
    with Valkey(tmp_path) as valkey, running("worker", valkey.url, "-c", STOPPED_IN_A_LINE) as worker:
        wait_until(lambda: not worker_trouble(valkey.url, worker.pid), START_SECONDS)
        valkey.kill()
        assert worker.wait(60) == 0
