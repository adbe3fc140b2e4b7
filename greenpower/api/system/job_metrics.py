"""What is known of background jobs: from Redis what became of them, the queue, the schedule, workers and schedulers;
from MongoDB what waits to be computed again. Read when it is asked for: no process of its own has to serve it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pymongo
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError
from redis import Redis, RedisError
from rq import Queue
from rq_scheduler import Scheduler

from greenpower.api.http.context import Context
from greenpower.api.system.process_checks import SCHEDULER_KEYS
from greenpower.bus.job_counts import BUCKET_NAMES, JOB_COUNTS, read_job_counts
from greenpower.control.order import COMMAND_QUEUE
from greenpower.mongo.alarms.find import count_alarms
from greenpower.mongo.alarms.progress import read_round
from greenpower.mongo.outbound.positions import all_positions, lag_of
from greenpower.mongo.rollups.lag import read_lags
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS, OUTBOUND_POSITIONS, WIRING_FINDINGS
from greenpower.mongo.wiring.store import count_findings

READ_SECONDS = 2.0
# Of registered workers; each key expires soon after the worker's last heartbeat.
WORKER_KEYS = "rq:worker:*"


class JobMetrics(Collector):
    """Jobs, as of now. A database that does not answer costs only what it knows."""

    def __init__(self, context: Context | None) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("greenpower_jobs_source_up", "1 where the source answered", labels=("source",))
        sources: tuple[tuple[str, Callable[[], list[Metric]]], ...] = (
            ("redis", self._of_redis),
            ("mongodb", self._of_mongodb),
        )
        for name, read in sources:
            try:
                yield from read()
                up.add_metric((name,), 1)
            except (RedisError, PyMongoError):
                up.add_metric((name,), 0)
        yield up

    def _of_redis(self) -> list[Metric]:
        jobs = CounterMetricFamily("greenpower_jobs", "background jobs by outcome", labels=("job", "outcome"))
        seconds = HistogramMetricFamily("greenpower_job_seconds", "seconds that jobs took", labels=("job",))
        queue = GaugeMetricFamily("greenpower_job_queue_length", "jobs that wait for a worker")
        late = GaugeMetricFamily(
            "greenpower_schedule_late_seconds", "how long the oldest due job waits for the scheduler"
        )
        workers = GaugeMetricFamily("greenpower_workers", "workers that are registered")
        schedulers = GaugeMetricFamily("greenpower_schedulers", "schedulers that are registered")
        metrics: list[Metric] = [jobs, seconds, queue, late, workers, schedulers]
        redis = None if self._context is None else self._context.redis
        if redis is None:
            return metrics
        stored: Any = redis.hgetall(JOB_COUNTS)
        for job, count in sorted(read_job_counts(stored).items()):
            for outcome, number in sorted(count.by_outcome.items()):
                jobs.add_metric((job, outcome), number)
            buckets = [*zip(BUCKET_NAMES, map(float, accumulate(count.by_seconds)), strict=True)]
            seconds.add_metric((job,), buckets, count.seconds)
        queue.add_metric((), redis.llen(Queue.redis_queue_namespace_prefix + COMMAND_QUEUE))
        due: Any = redis.zrange(Scheduler.scheduled_jobs_key, 0, 0, withscores=True)
        late.add_metric((), max(0.0, time.time() - due[0][1]) if due else 0.0)
        workers.add_metric((), _there(redis, WORKER_KEYS))
        schedulers.add_metric((), _there(redis, SCHEDULER_KEYS))
        return metrics

    def _of_mongodb(self) -> list[Metric]:
        oldest = GaugeMetricFamily(
            "greenpower_oldest_invalidation_seconds", "how long the oldest hour of a device waits to be computed again"
        )
        waiting = GaugeMetricFamily("greenpower_invalidations", "hours of devices that wait to be computed again")
        findings = GaugeMetricFamily(
            "greenpower_wiring_findings", "current findings of the checks of the wiring", labels=("name", "state")
        )
        if self._context is not None:
            for (name, state), number in count_findings(self._context.mongo.database[WIRING_FINDINGS]).items():
                findings.add_metric((name, state), number)
            with pymongo.timeout(READ_SECONDS):
                lags = read_lags(self._context.mongo.database, self._context.registry, datetime.now(UTC))
            oldest.add_metric((), max((lag.oldest for lag in lags), default=0.0))
            waiting.add_metric((), sum(lag.invalidations for lag in lags))
        return [oldest, waiting, findings, *self._of_alarms(), *self._of_outbound()]

    def _of_alarms(self) -> list[Metric]:
        alarms = GaugeMetricFamily("greenpower_alarms", "alarms that are open", labels=("state", "severity"))
        lag = GaugeMetricFamily(
            "greenpower_alarm_lag_seconds", "how long the oldest reading of the last round waited to be judged"
        )
        age = GaugeMetricFamily("greenpower_alarm_round_age_seconds", "seconds since the last round of alarms ended")
        errors = CounterMetricFamily("greenpower_alarm_rule_failures", "times that a rule could not be judged")
        if self._context is not None:
            db = self._context.mongo.database
            for labels, number in sorted(count_alarms(db[ALARMS]).items()):
                alarms.add_metric(labels, number)
            with pymongo.timeout(READ_SECONDS):
                last = read_round(db[ALARM_PROGRESS])
            if last is not None:
                lag.add_metric((), last["lag"])
                age.add_metric((), max(0.0, (datetime.now(UTC) - last["ended_at"]).total_seconds()))
                errors.add_metric((), last["errors"])
        return [alarms, lag, age, errors]

    def _of_outbound(self) -> list[Metric]:
        deliveries = CounterMetricFamily(
            "greenpower_outbound_deliveries", "batches that outbound targets took", labels=("target",)
        )
        rows = CounterMetricFamily("greenpower_outbound_rows", "rows in them", labels=("target",))
        errors = CounterMetricFamily("greenpower_outbound_errors", "deliveries that failed", labels=("target",))
        gaps = CounterMetricFamily(
            "greenpower_outbound_gaps", "times that rows expired before they were sent", labels=("target",)
        )
        lag = GaugeMetricFamily(
            "greenpower_outbound_lag_seconds", "how far a target is behind what could be sent", labels=("target",)
        )
        if self._context is not None:
            until = datetime.now(UTC) - timedelta(seconds=self._context.settings.changes_horizon_seconds)
            with pymongo.timeout(READ_SECONDS):
                found = all_positions(self._context.mongo.database[OUTBOUND_POSITIONS])
            for target, position in found.items():
                values: Any = position
                for family, key in ((deliveries, "deliveries"), (rows, "rows"), (errors, "errors"), (gaps, "gaps")):
                    family.add_metric((str(target),), values[key])
                lag.add_metric((str(target),), lag_of(position, until))
        return [deliveries, rows, errors, gaps, lag]


def _there(redis: Redis, pattern: str) -> int:
    """How many processes are registered and have not said that they end."""
    return sum(not redis.hexists(key, "death") for key in redis.scan_iter(pattern))
