"""Counting what became of jobs, for `/metrics/jobs` of the API. Never costs a job anything: Redis may be away."""

from __future__ import annotations

import logging

from redis import Redis, RedisError
from rq.job import Job

from greenpower.bus.job_counts import JobOutcome, count_job, job_of
from greenpower.sql.time import now

log = logging.getLogger(__name__)

UNKNOWN_JOB = "unknown"


def note_job(redis: Redis, job: Job, outcome: JobOutcome) -> None:
    """Count a job that has ended. Never fails."""
    # Jobs of other releases may have any name: they share one.
    name = UNKNOWN_JOB if outcome is JobOutcome.DROPPED else job_of(str(job.func_name))
    started = None if outcome is JobOutcome.DROPPED else job.started_at
    try:
        count_job(redis, name, outcome, None if started is None else max(0.0, (now() - started).total_seconds()))
    except RedisError as error:
        log.warning("a job is not counted: %.200s", error)
