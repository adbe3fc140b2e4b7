"""The worker: takes jobs from the queue and runs each in a process of its own, under a supervised loop.

RQ writes a heartbeat to Redis in each round, and health checks look at that. So a worker whose rounds fail must not
look alive: after a failure it is registered again when it has finished a round.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

from redis import Redis, RedisError
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job

from greenpower.jobs.schedule import QUEUE
from greenpower.loops import Backoff, ThreadLoop

log = logging.getLogger(__name__)

# The supervisor waits for 10 s.
STOP_SECONDS = 7.0
# A heartbeat each 5 s while there is nothing to do (RQ takes 15 s off), and each 10 s while a job runs: the supervisor
# knows soon that a worker hangs.
WORKER_TTL_SECONDS, MONITORING_SECONDS = 20, 10
STALLED_SECONDS = 45.0
BACKOFF = Backoff(first=1.0, longest=5.0)


class JobWorker(Worker):
    """One life of the worker, from its registration to the first failure or the stop.

    A job that does not finish in time at a stop is cut off and is the first of the next worker: all jobs may be cut
    off and run again. `failure`: the error that ended it, which RQ itself would only log.
    """

    def __init__(self, connection: Redis, name: str, loop: ThreadLoop, *, failed_before: bool) -> None:
        super().__init__(
            [Queue(QUEUE, connection=connection)],
            connection=connection,
            name=name,
            worker_ttl=WORKER_TTL_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
        )
        self.failure: Exception | None = None
        self._loop = loop
        self._proven = not failed_before
        self._beats = 0
        self._cut = False

    # Rounds: RQ sends a heartbeat at the start and at the end of each.

    def register_birth(self) -> None:
        if self._proven:
            super().register_birth()  # type: ignore[no-untyped-call]

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        self._beats += 1
        if self._beats > 1:  # the first is from before the first round
            self._proven = True
            self._loop.advance()
            if pipeline is None and not self.connection.hexists(self.key, "birth"):
                # Not registered yet, or Redis was emptied.
                self.connection.delete(self.key)
                super().register_birth()  # type: ignore[no-untyped-call]
        super().heartbeat(timeout, pipeline)

    def dequeue_job_and_maintain_ttl(self, *arguments: Any, **options: Any) -> tuple[Job, Queue] | None:
        try:
            return super().dequeue_job_and_maintain_ttl(*arguments, **options)
        except StopRequested:
            raise
        except Exception as error:
            self.failure = error
            raise StopRequested from error

    def execute_job(self, job: Job, queue: Queue) -> None:
        try:
            if is_runnable(job):
                super().execute_job(job, queue)
            else:
                self._drop(job, queue)
        except StopRequested:
            raise
        except Exception as error:
            self.failure = error
            raise StopRequested from error

    def _drop(self, job: Job, queue: Queue) -> None:
        """Delete a job that another release has queued. If it is still needed, the scheduler makes a new one."""
        log.warning("a job is dropped, there is no such function here: %s", job.id)
        self.connection.lrem(queue.intermediate_queue_key, 1, job.id)
        job.delete(remove_from_queue=True)

    # The stop.

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self._loop.request_stop()
        timer = threading.Timer(STOP_SECONDS, self._cut_off)
        timer.daemon = True
        timer.start()
        try:
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call]
        except StopRequested:
            # Raised at whatever line the signal came. Where that is a line for the log, logging would swallow RQ's
            # exception, as it does with every one that is no exit, and the worker would go on for ever.
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
            log.warning("%s was not finished in time and is queued again", job.description)


def is_runnable(job: Job) -> bool:
    """Whether the job's function exists in this release, and its arguments can be read."""
    try:
        return callable(job.func) and job.args is not None
    except RedisError:
        raise
    except Exception:  # from the import of any module and the unpickling of anything
        return False
