"""The worker: takes jobs from the queue and runs each in a process of its own, under a supervised loop.

RQ writes a heartbeat to Redis in each round, and health checks look at that. So a worker whose rounds fail must not
look alive: after a failure it is registered again when it has finished a round.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from redis import Redis, RedisError
from rq import Queue, Worker
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from setproctitle import setproctitle

from greenpower.bus.job_counts import JobOutcome
from greenpower.bus.job_queue import JsonJob, JsonQueue, is_pickled
from greenpower.jobs.job_metrics import note_job
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
# What a job's function begins with: who can write to Redis must not run just any function of Python here.
RUNNABLE = ("greenpower.jobs.",)


class WatchedQueue(JsonQueue):
    """A queue that tells when a worker looks into it, and when it has done so without an error, job or no job."""

    looks: Callable[[], None]
    looked: Callable[[], None]

    @classmethod
    def dequeue_any(cls, queues: Any, *arguments: Any, **options: Any) -> tuple[Job, Queue] | None:
        queues[0].looks()
        try:
            found = super().dequeue_any(queues, *arguments, **options)
        except DequeueTimeout:
            queues[0].looked()
            raise
        queues[0].looked()
        return found


class JobWorker(Worker):
    """One life of the worker, from its registration to the first failure or the stop.

    A job that does not finish in time at a stop is cut off and is the first of the next worker: all jobs may be cut
    off and run again. `failure`: the error that ended it, which RQ itself would only log. `proven`: whether it has
    looked into the queue without an error.
    """

    def __init__(self, connection: Redis, name: str, loop: ThreadLoop, *, failed_before: bool) -> None:
        queue = WatchedQueue(QUEUE, connection=connection)
        queue.looks, queue.looked = self._looks, self._looked
        super().__init__(
            [queue],
            connection=connection,
            name=name,
            queue_class=WatchedQueue,
            job_class=JsonJob,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
        )
        self.failure: Exception | None = None
        self.proven = False
        self._loop = loop
        self._failed_before = failed_before
        self._cut = False

    def procline(self, message: str) -> None:
        """The title of the process, as `ps` shows it."""
        setproctitle(f"greenpower worker: {message}")

    # Rounds. RQ sends a heartbeat before a look into the queue and after it, and after a lost connection too. So the
    # look itself tells whether a round was good.

    def _looks(self) -> None:
        # RQ checks it between jobs only. A signal that comes after that check would be noticed after the next job.
        if self._stop_requested:
            raise StopRequested

    def _looked(self) -> None:
        self.proven = True

    def register_birth(self) -> None:
        if not self._failed_before:
            super().register_birth()  # type: ignore[no-untyped-call]

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        if self.proven:
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
        reason = "it is of an older release" if is_pickled(job.data) else "there is no such function here"
        log.warning("a job is dropped, %s: %s", reason, job.id)
        self.connection.lrem(queue.intermediate_queue_key, 1, job.id)
        job.delete(remove_from_queue=True)
        note_job(self.connection, job, JobOutcome.DROPPED)

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
            # A job that has just ended, or a server that does not answer: the second signal ends it.
            os.kill(os.getpid(), signal.SIGTERM)

    def handle_job_success(self, job: Job, *arguments: Any, **options: Any) -> None:
        super().handle_job_success(job, *arguments, **options)
        note_job(self.connection, job, JobOutcome.FINISHED)

    def handle_job_failure(self, job: Job, *arguments: Any, **options: Any) -> None:
        super().handle_job_failure(job, *arguments, **options)
        note_job(self.connection, job, JobOutcome.CUT if self._cut else JobOutcome.FAILED)
        if self._cut:
            job.requeue(at_front=True)
            log.warning("%s was not finished in time and is queued again", job.description)


def is_runnable(job: Job) -> bool:
    """Whether its function is a job of this release, and its arguments can be read."""
    try:
        if not str(job.func_name).startswith(RUNNABLE):
            return False
        # A name may lead through one of our modules to what that has imported.
        ours = str(getattr(job.func, "__module__", None)).startswith(RUNNABLE)
        return ours and callable(job.func) and job.args is not None
    except (RedisError, StopRequested):
        raise
    except Exception:  # from the import of any module and the reading of anything
        return False
