"""`greenpower worker` and `greenpower scheduler`: the processes that run and that enqueue background jobs."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any
from uuid import uuid4

import click
import redis
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job

from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.jobs import commands, presence, rollup
from greenpower.jobs import device_sync as devices
from greenpower.jobs.commands import commands_entry
from greenpower.jobs.device_sync import devices_entry
from greenpower.jobs.presence import presence_entry
from greenpower.jobs.schedule import QUEUE, Entry, JobScheduler, rollup_entry
from greenpower.log import set_up_logging
from greenpower.rollups.plan import all_plans

SCHEDULER_SECONDS = 5  # the finest cron is a minute; a job is enqueued at most so late
RETRY_SECONDS = 2.0
# Whoever ends us waits for 10 s.
LAST_SECONDS = 7.0
# A heartbeat each 5 s while there is nothing to do (RQ takes 15 s off), and each 10 s while a job runs: whoever keeps
# the process alive knows soon that it hangs.
TTL_SECONDS, MONITORING_SECONDS = 20, 10

log = logging.getLogger(__name__)


@click.command()
def worker() -> None:
    """Run background jobs.

    After SIGTERM the current job is finished, or goes back into the queue if it takes too long.
    """
    connection, stop = _connect(), threading.Event()

    get_registry()  # jobs are forked from here: what is imported once need not be imported in each of them
    log.debug(
        "jobs: %s", (rollup.roll.__name__, devices.sync.__name__, presence.check.__name__, commands.work.__name__)
    )

    def work() -> None:
        # A new one each time: it registers itself under its name when it starts, and cannot twice.
        queue = Queue(QUEUE, connection=connection)
        worker = _Worker(
            [queue],
            connection=connection,
            name=_name(),
            worker_ttl=TTL_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
            stop=stop,
        )
        worker.work(logging_level=None)

    _until(stop, work)


@click.command()
def scheduler() -> None:
    """Queue periodic jobs when they are due.

    Several can run; one at a time does the work.
    """
    connection, stop = _connect(), threading.Event()
    settings = load_settings()

    def entries() -> list[Entry]:
        tiers = (rollup_entry(plan) for plan in all_plans(get_registry(), settings))
        return [*tiers, devices_entry(), presence_entry(), commands_entry()]

    def schedule() -> None:
        JobScheduler(entries, connection=connection, interval=SCHEDULER_SECONDS, name=_name()).run()

    _until(stop, schedule)


class _Worker(Worker):
    """An RQ worker that ends in time.

    It tells us when it was asked to stop; else it only returns, as it does when it lost Redis. A job that is not done
    by then is cut off, and the next worker's first: all jobs may be cut off and done again.
    """

    def __init__(self, *arguments: Any, stop: threading.Event, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stop = stop
        self._cut = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop.set()
        timer = threading.Timer(LAST_SECONDS, self._cut_off)
        timer.daemon = True
        timer.start()
        try:
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call]
        except StopRequested:
            # Raised wherever the signal came. Where that is a line for the log, logging would swallow RQ's exception,
            # as it does with every one that is no exit, and the worker would go on for ever.
            raise SystemExit(0) from None

    def _cut_off(self) -> None:
        if self.horse_pid:
            self._cut = True
            self.kill_horse()
        else:
            # RQ overlooks a signal between the end of a job and its next look for one. The second signal ends it.
            os.kill(os.getpid(), signal.SIGTERM)

    def handle_job_failure(self, job: Job, *arguments: Any, **options: Any) -> None:
        super().handle_job_failure(job, *arguments, **options)
        if self._cut:
            job.requeue(at_front=True)
            log.warning("%s was not done in time, it is in the queue again", job.description)


def _name() -> str:
    """A name that is never used twice; the supervisor finds a process's heartbeat by the number at its start."""
    return f"{os.getpid()}-{uuid4().hex}"


def _connect() -> redis.Redis:
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    return redis.Redis.from_url(settings.need("REDIS_URL"))


def _until(stop: threading.Event, work: Callable[[], None]) -> None:
    """Call `work` until `stop` is set or a signal comes, after a pause whenever it returned or Redis failed it."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        raise SystemExit(0)

    while not stop.is_set():
        for number in (signal.SIGTERM, signal.SIGINT):  # each time: a worker installs its own and leaves them
            signal.signal(number, on_signal)
        try:
            work()
        except redis.RedisError as error:
            log.warning("Redis: %s; trying again in %g s", error, RETRY_SECONDS)
        if not stop.is_set():
            stop.wait(RETRY_SECONDS)
