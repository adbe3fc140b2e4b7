"""The schedule: which jobs run when. rq-scheduler keeps it in Redis; it is updated to what the registry declares.

What belongs here: entries, bringing the schedule up to date, putting a job into the queue once. What does not: what the
jobs do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from redis import Redis, RedisError
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq_scheduler import Scheduler

from greenpower.bus.job_queue import JsonJob, JsonQueue, drop_pickled_from_schedule
from greenpower.loops import ThreadLoop
from greenpower.rollups.plan import TierPlan

log = logging.getLogger(__name__)

QUEUE = "greenpower"
# The ids of all our entries begin with it; other entries in the schedule are not ours to remove.
PREFIX = "greenpower-"
JOB_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A periodic job. name: unique, of letters, digits, `_` and `-`. function: dotted. every, timeout: seconds. wanted:
    a key in Redis; it is not queued while there is none. first: it goes before all that wait."""

    name: str
    function: str
    args: tuple[Any, ...]
    every: int
    timeout: int = JOB_TIMEOUT_SECONDS
    wanted: str = ""
    first: bool = False

    @property
    def id(self) -> str:
        return PREFIX + self.name


def rollup_entry(plan: TierPlan) -> Entry:
    """The job of a tier."""
    return Entry(
        name=f"rollup-{plan.datatype.name}-{plan.tier.prefix}",
        function="greenpower.jobs.rollup.roll",
        args=(plan.datatype.name, plan.tier.prefix),
        every=plan.every_minutes * 60,
    )


def rollup_entries(plans: Iterable[TierPlan]) -> list[Entry]:
    """The jobs of types' tiers, finest first: one for neighbours that are due equally often."""
    groups = groupby(plans, key=lambda plan: (plan.datatype.name, plan.every_minutes))
    return [_entry_of_all(list(group)) for _, group in groups]


def _entry_of_all(plans: list[TierPlan]) -> Entry:
    first = rollup_entry(plans[0])
    if len(plans) == 1:
        return first
    return replace(
        first,
        name=f"rollup-{plans[0].datatype.name}",
        function="greenpower.jobs.rollup.roll_all",
        args=(plans[0].datatype.name, *(plan.tier.prefix for plan in plans)),
        timeout=JOB_TIMEOUT_SECONDS * len(plans),
    )


def help_entry(plan: TierPlan, number: int) -> Entry:
    """What another worker does of a tier's run that several share. It is never scheduled: `every` is not used."""
    entry = rollup_entry(plan)
    return replace(entry, name=f"{entry.name}help-{number}", function="greenpower.jobs.rollup.help_roll")


class JobScheduler(Scheduler):  # type: ignore[misc]
    """rq-scheduler's schedule over the entries of a function, asked once at the start."""

    job_class = JsonJob
    queue_class = JsonQueue

    def __init__(self, entries: Callable[[], Iterable[Entry]], *, connection: Redis, interval: int, name: str) -> None:
        super().__init__(QUEUE, connection=connection, interval=interval, name=name)
        self.entries = {entry.id: entry for entry in entries()}
        self._checked = False

    def work(self, loop: ThreadLoop) -> None:
        """Queue what is due until the loop is stopped. Raises RedisError.

        It is registered in Redis after its first good round, and removed when a round fails: health checks look at
        that.
        """
        registered = False
        try:
            while True:
                if self.acquire_lock():
                    try:
                        self.enqueue_jobs()
                    finally:
                        self.remove_lock()
                if self.connection.exists(self.key):
                    self.heartbeat()
                else:  # the first round, or Redis was emptied
                    self.register_birth()
                    registered = True
                loop.advance()
                if loop.wait(self._interval):
                    return
        finally:
            if registered:
                self.register_death()

    def enqueue_jobs(self) -> None:
        """Bring the schedule up to date where it must be, and queue what is due. Called under the scheduler's lock."""
        if not self._checked:
            drop_pickled_from_schedule(self.connection, self.scheduled_jobs_key)
        scheduled = {key.decode("utf-8", "replace") for key in self._keys("+inf")}
        if not self._checked or not self.entries.keys() <= scheduled:
            self.bring_up_to_date(scheduled)
            self._checked = True
        for key in self._keys(time.time()):
            try:
                self.enqueue_job(JsonJob.fetch(key.decode(), connection=self.connection))
            except RedisError:
                raise
            except Exception as error:  # from reading anything: it costs this entry; our own are made again
                if not isinstance(error, NoSuchJobError):
                    log.warning("a scheduled job cannot be read and is removed: %a (%s)", key, type(error).__name__)
                self.connection.zrem(self.scheduled_jobs_key, key)

    def _keys(self, until: float | str) -> list[bytes]:
        return list(self.connection.zrangebyscore(self.scheduled_jobs_key, "-inf", until))

    def bring_up_to_date(self, scheduled: Iterable[str]) -> None:
        """Add entries that are missing or differ, remove those that are no longer declared; others keep their time."""
        there = set(scheduled)
        for key in there:
            if key.startswith(PREFIX) and key not in self.entries:
                self.cancel(key)
                log.info("no longer scheduled: %s", key.removeprefix(PREFIX))
        for entry in self.entries.values():
            if entry.id not in there or not self._is_current(entry):
                # It was not scheduled until now: let it run at once.
                self.schedule(
                    datetime.now(UTC),
                    entry.function,
                    args=entry.args,
                    interval=entry.every,
                    id=entry.id,
                    timeout=entry.timeout,
                    queue_name=QUEUE,
                    description=entry.name,
                )

    def _is_current(self, entry: Entry) -> bool:
        try:
            job = JsonJob.fetch(entry.id, connection=self.connection)
            return bool(
                job.meta.get("interval") == entry.every
                and job.timeout == entry.timeout
                and job.func_name == entry.function
                and tuple(job.args) == entry.args
            )
        except RedisError:
            raise
        except Exception:  # there is none, or none that can be read
            return False

    def enqueue_job(self, job: Job) -> None:
        """Queue a job unless it waits there already: after a time without workers each job is queued once."""
        entry = self.entries.get(job.id)
        unwanted = entry is not None and entry.wanted and not self.connection.exists(entry.wanted)
        if unwanted or is_queued(self.connection, job.id):
            self.connection.zadd(self.scheduled_jobs_key, {job.id: time.time() + job.meta["interval"]})
        else:
            job.enqueue_at_front = entry is not None and entry.first
            super().enqueue_job(job)


def is_queued(connection: Redis, job_id: str) -> bool:
    """Whether a job waits in the queue."""
    return connection.lpos(JsonQueue(QUEUE, connection=connection).key, job_id) is not None


def push(connection: Redis, entry: Entry) -> None:
    """Let a job run as soon as a worker is free, besides its usual times if it is scheduled. Raises RedisError."""
    if connection.zscore(Scheduler.scheduled_jobs_key, entry.id) is None:
        add_job(connection, entry)
    elif not is_queued(connection, entry.id) and JsonJob.exists(entry.id, connection=connection):
        JsonQueue(QUEUE, connection=connection).push_job_id(entry.id)


def set_next_run(connection: Redis, entry: Entry, seconds: float) -> None:
    """Let a scheduled job run next after some seconds, instead of after its usual time. Raises RedisError."""
    connection.zadd(Scheduler.scheduled_jobs_key, {entry.id: time.time() + seconds}, xx=True)


def add_job(connection: Redis, entry: Entry) -> None:
    """Let a job run once, unless it waits already. Raises RedisError."""
    if not is_queued(connection, entry.id):
        JsonQueue(QUEUE, connection=connection).enqueue_call(
            entry.function, args=entry.args, timeout=entry.timeout, job_id=entry.id, description=entry.name
        )


def run_by(connection: Redis, entry: Entry, at: datetime) -> None:
    """Let a scheduled job run at a time, unless its next turn is sooner. Raises RedisError."""
    key = JobScheduler.scheduled_jobs_key
    connection.zadd(key, {entry.id: at.timestamp()}, xx=True, lt=True)
