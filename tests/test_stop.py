"""SIGTERM while work is in flight: each process is gone within ten seconds, and nothing is lost by it.

The API's is in tests/api/http/test_server.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from pymongo import MongoClient
from rq.job import Job, JobStatus

from greenpower.bus.job_queue import JsonQueue
from greenpower.config import Settings
from greenpower.jobs.schedule import QUEUE
from greenpower.stack import Mongod
from greenpower.stack.probe import scheduler_trouble, worker_trouble
from tests.ingest.conftest import Document
from tests.ingest.load import Load
from tests.jobs import any_job
from tests.process import Command
from tests.proxy import AckDroppingProxy
from tests.realtime.conftest import Browser, answers, make_reading, tell
from tests.wait import busy, wait_until

IN_TIME = 10.0


def stop_in_time(command: Command) -> None:
    """SIGTERM, and a look at the time. A machine that has other work as well may take as much longer."""
    began = time.monotonic()
    assert command.stop(100) == 0, command.log.read_text()
    took = time.monotonic() - began
    print(f"{command.log.name}: {took:.1f} s")
    assert took < IN_TIME * busy()


@pytest.mark.slow
@pytest.mark.parametrize("hangs", ["", "now", "known"], ids=["all well", "MongoDB hangs", "MongoDB has hung for long"])
def test_ingest_under_load(
    hangs: str, settings: Settings, broker: tuple[str, int], mongo_uri: str, tmp_path: Path
) -> None:
    """What it acknowledged is stored, and what it held comes again to the next one."""
    with Mongod(tmp_path / "mongod") as own, MongoClient[Document](own.uri) as client:
        readings = client[settings.mongo_db_name].grid_rt_data
        with AckDroppingProxy(*broker) as proxy, ExitStack() as stack:
            using = settings.model_copy(update={"mongo_db_uri": SecretStr(own.uri), "mqtt_port": proxy.port})
            with Command(using, "ingest", "--mqtt", folder=tmp_path) as command:
                command.wait_healthy()
                load = stack.enter_context(Load(*broker))
                wait_until(lambda: sum(proxy.acks) > 300, 30)
                if hangs:
                    own.pause()
                    wait_until(lambda: command.metric("greenpower_frames_pending") > 20)
                if hangs == "known":  # the driver has given the server up, and would look for it again to say goodbye
                    wait_until(lambda: not command.health()["parts"]["mongo"]["ok"], 60)
                stop_in_time(command)
            if hangs:
                own.resume()
            acknowledged = sum(proxy.acks)
            wait_until(lambda: readings.count_documents({}) >= acknowledged > 300, 10)
            with Command(using, "ingest", "--mqtt", folder=tmp_path) as command:
                command.wait_healthy()
                sent = load.end()
                wait_until(lambda: readings.count_documents({}) == sent, 30)
                assert sent > acknowledged


@contextmanager
def answering(settings: Settings, name: str, folder: Path) -> Iterator[Command]:
    trouble = {"worker": worker_trouble, "scheduler": scheduler_trouble}[name]
    url = settings.redis_url.get_secret_value()
    with Command(settings, name, folder=folder, module=any_job.__name__) as command:
        wait_until(lambda: not trouble(url, command.process.pid), 30)
        yield command


def status(job: Job) -> JobStatus:
    return job.get_status()


@pytest.mark.slow
def test_a_worker_with_a_job_that_takes_too_long(settings: Settings, tmp_path: Path) -> None:
    """It is cut off, and first in the queue for the next worker."""
    marker = tmp_path / "began"
    # Long the first time, short when it is done again.
    script = f"if [ -e {marker} ]; then exit 0; fi; touch {marker}; exec sleep 60"
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as connection:
        queue = JsonQueue(QUEUE, connection=connection)
        with answering(settings, "worker", tmp_path) as command:
            job = queue.enqueue("subprocess.check_call", ["sh", "-c", script])
            wait_until(marker.exists)
            others = [queue.enqueue("time.time") for _ in range(3)]
            stop_in_time(command)
        assert status(job) == JobStatus.QUEUED
        assert queue.job_ids == [job.id, *(other.id for other in others)]
        assert job.id not in queue.failed_job_registry
        with answering(settings, "worker", tmp_path):
            wait_until(lambda: all(status(one) == JobStatus.FINISHED for one in (job, *others)), 30)


@pytest.mark.slow
def test_a_scheduler_hands_over_to_the_next(settings: Settings, tmp_path: Path) -> None:
    url = settings.redis_url.get_secret_value()
    with (
        redis.Redis.from_url(url) as connection,
        answering(settings, "scheduler", tmp_path) as first,
        answering(settings, "scheduler", tmp_path),
    ):
        queue = JsonQueue(QUEUE, connection=connection)
        wait_until(lambda: queue.count, 20)  # its periodic jobs: it is at work
        stop_in_time(first)
        due = datetime.now(UTC).replace(tzinfo=None)
        job = any_job.schedule(connection, due, "time.time")
        wait_until(lambda: job.id in queue.job_ids, 30)


@pytest.mark.slow
def test_a_gateway_with_clients_and_values_that_come(settings: Settings, redis_url: str, tmp_path: Path) -> None:
    """Its clients come again to the next one, and have the newest values then."""
    clients = [Browser(settings.realtime_port, reconnection=True) for _ in range(10)]
    ending, told = threading.Event(), [0]

    def go_on() -> None:
        while not ending.wait(0.02):
            told[0] += 1
            tell(redis_url, make_reading("D1", told[0], ua=float(told[0])))

    telling = threading.Thread(target=go_on)
    try:
        with Command(settings, "realtime", folder=tmp_path) as command:
            wait_until(lambda: answers(command), 30)
            telling.start()
            for client in clients:
                client.connect()
                assert client.subscribe("*")["ok"] and client.next("reading")
            stop_in_time(command)
        for client in clients:
            client.next("disconnect")
        with Command(settings, "realtime", folder=tmp_path) as command:
            for client in clients:
                client.next("connect", 30)
                assert client.subscribe("*")["ok"]
            newest = told[0]
            for client in clients:
                while client.next("reading", 20)[-1]["payload"]["ua"] < newest:
                    pass
    finally:
        ending.set()
        if telling.is_alive():
            telling.join()
        for client in clients:
            client.close()
