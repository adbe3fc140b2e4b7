"""`/metrics` and `/metrics/jobs`: what is counted, and who may read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from rq.exceptions import StopRequested
from rq_scheduler import Scheduler

from greenpower.api.http.context import get_context, set_context
from greenpower.bus.job_counts import JOB_COUNTS, JobOutcome, count_job, job_of, read_job_counts
from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import Registry
from greenpower.jobs.schedule import QUEUE, JobScheduler
from greenpower.jobs.worker import JobWorker
from greenpower.loops import ThreadLoop
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.sql.time import now
from tests.api.conftest import PATH, Api
from tests.rollups.world import POWER

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: str) -> Samples:
    """Each sample by name and values of its labels, in order of the labels."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(api: Api, path: str = "/metrics", address: str = "127.0.0.1", **headers: str) -> Any:
    return api.client.get(path, headers=headers, environ_overrides={"REMOTE_ADDR": address})


def test_requests_are_counted_by_route_and_status(api: Api) -> None:
    before = samples(read(api).text)
    for _ in range(3):
        assert api.get(PATH).status_code == 200
    assert api.get(PATH, page=0).status_code == 422
    assert api.client.get(PATH).status_code == 401
    assert api.client.get("/nothing/here/").status_code == api.client.get("/nothing/there/").status_code == 404
    assert api.get("/api/devices/999999/").status_code == 404
    found = samples(read(api).text)

    def more(name: str, *labels: str) -> float:
        return found[name, labels] - before.get((name, labels), 0)

    requests = "greenpower_api_requests_total"
    assert (more(requests, "GET", PATH, "2xx"), more(requests, "GET", PATH, "4xx")) == (3, 2)
    assert more(requests, "none", "none", "4xx") == 2
    assert more(requests, "GET", "/api/devices/{id}/", "4xx") == 1
    assert more(requests, "GET", "/metrics", "2xx") == 1
    assert more("greenpower_api_request_seconds_count", "GET", PATH) == 5
    assert more("greenpower_api_request_seconds_bucket", "+Inf", "GET", PATH) == 5
    assert 0 < more("greenpower_api_request_seconds_sum", "GET", PATH) < 60


def test_only_who_is_near_or_has_a_key_reads_them(api: Api) -> None:
    token = f"Bearer {api.tokens['access']}"
    for path in ("/metrics", "/metrics/jobs"):
        assert read(api, path).status_code == read(api, path, "::1").status_code == 200
        assert read(api, path, "::ffff:127.0.0.1").status_code == 200
        for address in ("192.0.2.7", "10.0.0.1", "2001:db8::1", ""):
            assert read(api, path, address).status_code == 401, address
        assert read(api, path, **{"X-Forwarded-For": "127.0.0.1"}).status_code == 401
        assert read(api, path, **{"Forwarded": "for=127.0.0.1"}).status_code == 401
        assert read(api, path, "192.0.2.7", Authorization=token).status_code == 200
        assert read(api, path, "192.0.2.7", Authorization="Bearer x").status_code == 401


@pytest.fixture
def connection(api: Api, redis_url: str) -> Iterator[redis.Redis]:
    """This test's Redis, and the API looks there."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client, api.app.app_context():
        before = get_context()
        set_context(api.app, replace(before, redis=client))
        yield client
        set_context(api.app, before)


def test_jobs_the_queue_and_the_schedule_are_told(api: Api, connection: redis.Redis, redis_url: str) -> None:
    count_job(connection, "rollup", JobOutcome.FINISHED, 0.3)
    count_job(connection, "rollup", JobOutcome.FINISHED, 20.0)
    count_job(connection, "rollup", JobOutcome.FAILED, 1_000.0)
    count_job(connection, "unknown", JobOutcome.DROPPED)
    connection.hset(JOB_COUNTS, "rollup|seconds|x", "no number")
    queue = JsonQueue(QUEUE, connection=redis.Redis.from_url(redis_url))
    queue.enqueue_call("time.time")
    queue.enqueue_call("time.time")
    connection.zadd(Scheduler.scheduled_jobs_key, {"late": now().timestamp() - 100, "later": now().timestamp() + 100})
    found = samples(read(api, "/metrics/jobs").text)
    assert found["greenpower_jobs_total", ("rollup", "finished")] == 2
    assert found["greenpower_jobs_total", ("rollup", "failed")] == 1
    assert found["greenpower_jobs_total", ("unknown", "dropped")] == 1
    assert found["greenpower_job_seconds_bucket", ("rollup", "0.5")] == 1
    assert found["greenpower_job_seconds_bucket", ("rollup", "60.0")] == 2
    assert found["greenpower_job_seconds_count", ("rollup",)] == 3
    assert found["greenpower_job_seconds_sum", ("rollup",)] == 1_020.3
    assert found["greenpower_job_queue_length", ()] == 2
    assert 99 < found["greenpower_schedule_late_seconds", ()] < 200
    assert found["greenpower_workers", ()] == found["greenpower_schedulers", ()] == 0
    assert found["greenpower_jobs_source_up", ("redis",)] == found["greenpower_jobs_source_up", ("mongodb",)] == 1


def test_the_age_of_the_oldest_invalidation_is_told(api: Api) -> None:
    since = datetime.now(UTC) - timedelta(hours=2)
    documents: list[dict[str, Any]] = [
        {"type": "power", "prefix": "today_", "device_id": "d", "hour": since, "since": time}
        for time in (since, datetime.now(UTC))
    ]
    for number, document in enumerate(documents):
        document["device_id"] += str(number)
    with api.app.app_context():
        before = get_context()
        set_context(api.app, replace(before, registry=Registry.of(POWER)))
        api.database[INVALIDATIONS].insert_many(documents)
        found = samples(read(api, "/metrics/jobs").text)
        api.database[INVALIDATIONS].delete_many({})
        set_context(api.app, before)
    assert 7_199 < found["greenpower_oldest_invalidation_seconds", ()] < 7_300
    assert found["greenpower_invalidations", ()] == 2


def test_workers_and_schedulers_are_told_while_they_run(api: Api, connection: redis.Redis, redis_url: str) -> None:
    def told() -> tuple[float, float]:
        found = samples(read(api, "/metrics/jobs").text)
        assert found["greenpower_jobs_source_up", ("redis",)] == 1
        return found["greenpower_workers", ()], found["greenpower_schedulers", ()]

    with redis.Redis.from_url(redis_url) as raw:
        loop = ThreadLoop("worker", lambda _: None, stalled_after=60)
        worker = JobWorker(raw, "here", loop, failed_before=False)
        scheduler = JobScheduler(lambda: (), connection=raw, interval=5, name="here")
        assert told() == (0, 0)
        worker.register_birth()
        scheduler.register_birth()
        assert told() == (1, 1)
        worker.register_death()  # type: ignore[no-untyped-call]
        scheduler.register_death()
        assert told() == (0, 0)


def test_what_does_not_answer_costs_only_what_it_knows(api: Api) -> None:
    with redis.Redis(port=9, socket_connect_timeout=0.2) as away, api.app.app_context():
        before = get_context()
        set_context(api.app, replace(before, redis=away))
        found = samples(read(api, "/metrics/jobs").text)
        set_context(api.app, before)
    assert found["greenpower_jobs_source_up", ("redis",)] == 0
    assert found["greenpower_oldest_invalidation_seconds", ()] == 0
    assert ("greenpower_job_queue_length", ()) not in found


def test_a_worker_counts_what_became_of_its_jobs(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        queue = JsonQueue(QUEUE, connection=connection)
        queue.enqueue_call("greenpower.jobs.worker.is_runnable", ("",))
        queue.enqueue_call("greenpower.jobs.worker.is_runnable")
        queue.enqueue_call("greenpower.jobs.gone.work")
        loop = ThreadLoop("worker", lambda _: None, stalled_after=60)
        worker = JobWorker(connection, "counted", loop, failed_before=False)
        with suppress(StopRequested):
            worker.work(burst=True, logging_level=None)
        stored = {key.decode(): value.decode() for key, value in connection.hgetall(JOB_COUNTS).items()}
    counts = read_job_counts(stored)
    assert {name: count.by_outcome for name, count in counts.items()} == {
        "worker": {"finished": 1, "failed": 1},
        "unknown": {"dropped": 1},
    }
    assert sum(counts["worker"].by_seconds) == 2 and counts["worker"].seconds > 0


def test_a_job_is_named_by_its_module() -> None:
    assert job_of("greenpower.jobs.rollup.roll") == "rollup" and job_of("x") == "x"
