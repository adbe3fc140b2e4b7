"""`python -m tests.jobs.any_job worker`: a worker that runs any function, so that a job can be as a test needs it."""

from __future__ import annotations

from datetime import datetime

from redis import Redis
from rq.job import Job

from greenpower.cli.main import main
from greenpower.jobs import worker
from greenpower.jobs.schedule import JobScheduler


def schedule(connection: Redis, due: datetime, function: str) -> Job:
    """Schedule a job as `greenpower scheduler` does. due: naive UTC, as rq-scheduler takes it."""
    scheduler = JobScheduler(lambda: (), connection=connection, interval=5, name="test")
    found: Job = scheduler.schedule(due, function)
    return found


if __name__ == "__main__":
    worker.RUNNABLE = ("",)
    main()
