"""Letting the worker look at commands now instead of at its next turn. Redis may be away: then it is the next turn."""

from __future__ import annotations

import logging
from contextlib import closing

from redis import Redis, RedisError
from rq import Queue

log = logging.getLogger(__name__)

QUEUE = "greenpower"
JOB = "greenpower.jobs.commands.work"
TIMEOUT = 60
SECONDS = 0.5


def kick(url: str) -> None:
    """Put the job in front of the queue. Call it after the commit; never fails."""
    if not url:
        return
    try:
        with closing(Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)) as redis:
            # Under a name of its own: one that runs may have looked already, and takes its name with it at its end.
            Queue(QUEUE, connection=redis).enqueue_call(JOB, timeout=TIMEOUT, ttl=TIMEOUT, result_ttl=0, at_front=True)
    except RedisError as error:
        log.warning("a command waits for the worker's next turn: %.200s", error)
