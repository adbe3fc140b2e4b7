"""What became of background jobs, counted in Redis: workers come and go, and each job runs in a process of its own.

    greenpower:jobs:counts    hash, "<job>|outcome|<outcome>" -> jobs, "<job>|le|<seconds>" -> jobs that took at most so
                              long and longer than the bucket before, "<job>|seconds" -> of all together

The counts begin again when Redis is emptied.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from redis import Redis

from greenpower.bus.keys import PREFIX

JOB_COUNTS = PREFIX + "jobs:counts"
JOB_SECONDS_BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
LONGER = "+Inf"
BUCKET_NAMES = (*map(str, JOB_SECONDS_BUCKETS), LONGER)


class JobOutcome(StrEnum):
    """What became of a job. Cut: not finished when the worker was stopped, and queued again. Dropped: of another
    release, not run."""

    FINISHED = "finished"
    FAILED = "failed"
    CUT = "cut"
    DROPPED = "dropped"


@dataclass(slots=True, kw_only=True)
class JobCount:
    """The runs of one job. by_outcome: of `JobOutcome`. by_seconds: in order of `BUCKET_NAMES`, not cumulative."""

    by_outcome: dict[str, int] = field(default_factory=dict)
    by_seconds: list[int] = field(default_factory=lambda: [0] * len(BUCKET_NAMES))
    seconds: float = 0.0


def job_of(function: str) -> str:
    """The name under which a function is counted: `rollup` of `greenpower.jobs.rollup.roll`."""
    return function.rpartition(".")[0].rpartition(".")[2] or function


def count_job(redis: Redis, job: str, outcome: JobOutcome, seconds: float | None = None) -> None:
    """Count a run of a job. seconds: None for one that did not run. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.hincrby(JOB_COUNTS, f"{job}|outcome|{outcome.value}", 1)
    if seconds is not None:
        pipeline.hincrby(JOB_COUNTS, f"{job}|le|{BUCKET_NAMES[bisect_left(JOB_SECONDS_BUCKETS, seconds)]}", 1)
        pipeline.hincrbyfloat(JOB_COUNTS, f"{job}|seconds", seconds)
    pipeline.execute()


def read_job_counts(stored: Mapping[str, str]) -> dict[str, JobCount]:
    """The counts by job, from what the hash holds. What cannot be read is left out."""
    found: dict[str, JobCount] = {}
    for key, value in stored.items():
        job, _, rest = key.partition("|")
        what, _, label = rest.partition("|")
        count = found.setdefault(job, JobCount())
        try:
            if what == "outcome":
                count.by_outcome[label] = int(value)
            elif what == "le":
                count.by_seconds[BUCKET_NAMES.index(label)] = int(value)
            elif what == "seconds":
                count.seconds = float(value)
        except ValueError:
            continue
    return found
