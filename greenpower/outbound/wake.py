"""Telling a worker that a target was made or changed. What does not: its job (`greenpower.jobs.outbound`)."""

from __future__ import annotations

import logging

from redis import Redis, RedisError

from greenpower.bus.job_queue import JsonQueue
from greenpower.bus.keys import OUTBOUND_WOKEN

log = logging.getLogger(__name__)

OUTBOUND_QUEUE, OUTBOUND_JOB = "greenpower", "greenpower.jobs.outbound.work"
OUTBOUND_JOB_SECONDS = 180
# A wake-up that no job has answered after so long is taken for lost.
WAKE_UP_LOST_SECONDS = 60


def wake_outbound_worker(redis: Redis | None) -> None:
    """Let a worker look at the targets now, unless one was told so and has not begun yet. Never fails: without Redis
    the job's own turn does it later."""
    if redis is None:
        return
    try:
        if redis.set(OUTBOUND_WOKEN, "1", nx=True, ex=WAKE_UP_LOST_SECONDS):
            # Under an id of its own: the job of the schedule may have looked already, and its id ends with it.
            JsonQueue(OUTBOUND_QUEUE, connection=redis).enqueue_call(
                OUTBOUND_JOB, timeout=OUTBOUND_JOB_SECONDS, ttl=OUTBOUND_JOB_SECONDS, result_ttl=0
            )
    except RedisError as error:
        log.warning("outbound targets wait for the worker's next turn: %.200s", error)


def forget_outbound_wake_up(redis: Redis) -> None:
    """Called by the job before it looks: what is changed from now on wakes another. Raises RedisError."""
    redis.delete(OUTBOUND_WOKEN)
