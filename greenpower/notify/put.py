"""Putting notices into the outbox: the one way in which anything is told to people.

    put(db, notices, now=now, redis=redis)

What belongs here: keeping them, and waking the job that sends them. What does not: sending (`greenpower.notify.send`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from pymongo.database import Database
from redis import Redis, RedisError

from greenpower.bus.job_queue import JsonQueue
from greenpower.bus.keys import NOTIFY_WOKEN
from greenpower.mongo.client import Document
from greenpower.mongo.notifications.outbox import add_notices
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.notice import Notice

log = logging.getLogger(__name__)

NOTIFY_QUEUE, NOTIFY_JOB = "greenpower", "greenpower.jobs.notify.work"
NOTIFY_JOB_SECONDS = 300
# A wake-up that no job has answered after so long is taken for lost.
WAKE_UP_SECONDS = 60


def put(db: Database[Document], notices: Iterable[Notice], *, now: datetime, redis: Redis | None) -> int:
    """Keep notices to be sent, and wake the worker that sends them. Returns how many were new.

    It is done when it returns: the notices are journaled. A notice whose key and channel are in the outbox already is
    left as it is, so a caller that was killed just puts the same notices again, with the same keys, until it has noted
    that it did. Sent notices are known for as long as the log keeps them (`MONGO_NOTIFICATIONS_TTL_SECONDS`).

    db: the whole site's database. now: the time, aware; notices of one channel are sent in order of it, and as
    they are given. redis: None where there is none: the job's own turn, minutes later, finds the notices then. Where a
    channel does not exist, is disabled, or its owner is gone, the notice is given up in its turn, and the log says so.

    Raises NoticeError for a notice that cannot be kept (nothing is kept then), PyMongoError where MongoDB is at fault.
    Redis being away is no error.
    """
    added = add_notices(db[NOTIFICATIONS], [notice.document(now, position) for position, notice in enumerate(notices)])
    if added and redis is not None:
        wake_notify_worker(redis)
    return added


def wake_notify_worker(redis: Redis) -> None:
    """Let a worker look into the outbox now, unless one was told so and has not begun yet. Never fails."""
    try:
        if redis.set(NOTIFY_WOKEN, "1", nx=True, ex=WAKE_UP_SECONDS):
            # Under an id of its own: the job of the schedule may have looked already, and its id ends with it.
            JsonQueue(NOTIFY_QUEUE, connection=redis).enqueue_call(
                NOTIFY_JOB, timeout=NOTIFY_JOB_SECONDS, ttl=NOTIFY_JOB_SECONDS, result_ttl=0
            )
    except RedisError as error:
        log.warning("notices wait for the worker's next turn: %.200s", error)


def forget_wake_up(redis: Redis) -> None:
    """Called by the job before it looks: what is put from now on wakes another. Raises RedisError."""
    redis.delete(NOTIFY_WOKEN)
