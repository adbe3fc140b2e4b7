"""Jobs as JSON: what is stored, and what becomes of jobs that an older release has pickled."""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq_scheduler import Scheduler

from greenpower.bus.job_queue import JsonJob, JsonQueue, drop_pickled_from_queue, drop_pickled_from_schedule, is_pickled

NAME = "greenpower"
SCHEDULE = Scheduler.scheduled_jobs_key


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """This test's Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


class Touch:
    """Reading its pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_job_is_json_with_every_field_that_rq_serializes(connection: redis.Redis) -> None:
    queue = JsonQueue(NAME, connection=connection)
    job = queue.enqueue_call("time.time", args=("rt", "today_"), kwargs={"a": 1}, meta={"interval": 60})
    stored: Any = connection.hgetall(job.key)
    assert json.loads(zlib.decompress(stored[b"data"])) == ["time.time", None, ["rt", "today_"], {"a": 1}]
    assert json.loads(stored[b"meta"])["interval"] == 60
    again = JsonJob.fetch(job.id, connection=connection)
    assert (list(again.args), again.kwargs, again.meta["interval"]) == (["rt", "today_"], {"a": 1}, 60)
    assert queue.jobs == [again]


def test_pickled_jobs_are_dropped_with_one_line_and_never_read(
    connection: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = Queue(NAME, connection=connection)
    trap = tmp_path / "ran"
    for _ in range(3):
        job = older.enqueue("time.time")
        connection.hset(job.key, "data", zlib.compress(pickle.dumps(Touch(trap))))
        connection.hset(job.key, "meta", pickle.dumps(Touch(trap)))
    due = datetime.now(UTC).replace(tzinfo=None)
    Scheduler(NAME, connection=connection).schedule(due, "time.time", id="somebody", interval=60)
    kept = JsonQueue(NAME, connection=connection).enqueue("time.time")
    assert drop_pickled_from_queue(connection, NAME) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert drop_pickled_from_schedule(connection, SCHEDULE) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert older.job_ids == [kept.id] and connection.zcard(SCHEDULE) == 0
    assert not trap.exists() and not JsonJob.exists(job.id, connection=connection)
    assert drop_pickled_from_queue(connection, NAME) == drop_pickled_from_schedule(connection, SCHEDULE) == 0
    assert len(caplog.records) == 2


@pytest.mark.parametrize("data", [zlib.compress(pickle.dumps(1)), pickle.dumps(("time.time", None, (), {}))])
def test_a_pickle_is_known_compressed_or_not(data: bytes) -> None:
    assert is_pickled(data)


@pytest.mark.parametrize("data", [None, b"", b"[]", zlib.compress(b'["time.time"]'), b"x\x9c broken"])
def test_other_data_is_no_pickle(data: bytes | None) -> None:
    assert not is_pickled(data)
