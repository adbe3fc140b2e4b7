"""Jobs and queues of RQ whose arguments and results are JSON.

RQ's own are pickled, and reading a pickle runs whatever code is in it: who can write to Redis could run anything in the
worker. What belongs here: the classes, and dropping jobs that an older release has pickled. What does not: the schedule
and the worker (`greenpower.jobs`).
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

log = logging.getLogger(__name__)

PICKLED = b"\x80"  # how a pickle begins; JSON cannot begin so
PREFIX = Job.redis_job_namespace_prefix.encode()


class JsonJob(Job):
    """A job whose function, arguments, meta and result are JSON. Arguments come back as lists.

    It has no callbacks and no webhooks: what Redis says of any is not taken.
    """

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: Any = None) -> None:
        super().__init__(id, connection, serializer or JSONSerializer)

    def restore(self, raw_data: Any) -> None:
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []


class JsonQueue(Queue):
    """A queue of such jobs."""

    job_class = JsonJob

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "serializer": options.get("serializer") or JSONSerializer})


def drop_pickled_from_queue(connection: Redis, queue: str) -> int:
    """Delete the waiting jobs that an older release has pickled, with one line. Returns how many. Raises RedisError."""
    key = JsonQueue(queue, connection=connection).key
    return _drop(connection, connection.lrange(key, 0, -1), lambda pipeline, job_id: pipeline.lrem(key, 0, job_id))


def drop_pickled_from_schedule(connection: Redis, key: str) -> int:
    """The same for a sorted set of rq-scheduler, by its key: its entries are no longer scheduled."""
    entries = connection.zrangebyscore(key, "-inf", "+inf")
    return _drop(connection, entries, lambda pipeline, job_id: pipeline.zrem(key, job_id))


def _drop(connection: Redis, job_ids: Any, remove: Callable[[Any, bytes], object]) -> int:
    found = [job_id for job_id in job_ids if is_pickled(_data(connection, job_id))]
    for job_id in found:
        with connection.pipeline() as pipeline:
            remove(pipeline, job_id)
            pipeline.delete(PREFIX + job_id)
            pipeline.execute()
    if found:
        log.warning("jobs of an older release are dropped: %d; periodic ones are scheduled again", len(found))
    return len(found)


def is_pickled(data: bytes | None) -> bool:
    """Whether the `data` of a job's hash in Redis was written by an older release."""
    if data is None:
        return False
    try:
        return zlib.decompressobj().decompress(data, len(PICKLED)) == PICKLED
    except zlib.error:  # RQ reads what is not compressed as well
        return data.startswith(PICKLED)


def _data(connection: Redis, job_id: bytes) -> bytes | None:
    found: Any = connection.hget(PREFIX + job_id, "data")
    return found if isinstance(found, bytes) else None
