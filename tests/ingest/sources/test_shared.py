"""Several ingest processes on one broker: they share the frames, and what waits for one that is gone is not lost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import TimeoutExpired

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.mqtt.drain import Drain, DrainError
from greenpower.ingest.sources.mqtt.intake import MqttIntake, MqttMetrics
from greenpower.mongo.client import async_client
from greenpower.stack import Mosquitto
from greenpower.stack.ingest_pool import NO_SESSION, PROCESS_RUNS
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document, Publisher, Start, frame
from tests.process import Command
from tests.wait import wait_until

BASE = datetime.now(UTC).replace(microsecond=0)
METER = "33B1225950027"


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with no other members of the group."""
    with Mosquitto(tmp_path / "mosquitto") as part:
        yield part


@pytest.fixture
def sender(own_broker: Mosquitto) -> Iterator[Publisher]:
    client = Publisher(own_broker.host, own_broker.port)
    yield client
    client.close()


def member(settings: Settings, broker: Mosquitto, name: str, **values: object) -> Settings:
    """Settings of a member of the group."""
    given = {"mqtt_broker": broker.host, "mqtt_port": broker.port, "mqtt_client_id": name, "mqtt_shared": True}
    return Settings.model_validate({
        **settings.model_dump(), **given, "ingest_http_port": free_port(), **values
    })  # fmt: skip


def send(sender: Publisher, numbers: range) -> None:
    """One frame a number, each a reading of its own."""
    for number in numbers:
        sender.send("MQTT_RT_DATA", frame(METER, BASE - timedelta(seconds=number)))
    sender.flush()


def stored(db: Database[Document]) -> int:
    return db.grid_rt_data.count_documents({})


def outcomes(db: Database[Document]) -> set[str]:
    return set(db.telemetry_events.distinct("outcome"))


def drain(settings: Settings, folder: Path, name: str) -> Command:
    return Command(settings, "mqtt", "drain", name, folder=folder)


def test_two_members_share_and_one_that_is_gone_is_drained(
    start: Start, settings: Settings, own_broker: Mosquitto, sender: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    one, two = (start(member(settings, own_broker, name)) for name in ("one", "two"))
    send(sender, range(200))
    wait_until(lambda: stored(db) == 200)
    shares = [command.metric("greenpower_mqtt_acknowledged_total") for command in (one, two)]
    assert sum(shares) == 200 and all(shares)
    two.kill()
    send(sender, range(200, 600))
    # Mosquitto goes on giving the member that is away its share: half of them wait in its session.
    sender.send("MQTT_RT_DATA", frame("33B0000000001"))
    sender.send("MQTT_RT_DATA", frame("33B0000000002"))
    sender.flush()
    wait_until(lambda: one.metric("greenpower_mqtt_acknowledged_total") == shares[0] + 201)
    assert stored(db) == 401
    with drain(member(settings, own_broker, "any"), tmp_path, "two") as draining:
        assert draining.process.wait(60) == 0, draining.log.read_text()
        assert re.findall(r"\d+", draining.log.read_text().splitlines()[-1]) == ["201", "201"]
    assert stored(db) == db.telemetry_events.count_documents({}) == 602
    send(sender, range(600, 700))
    wait_until(lambda: stored(db) == 702)
    assert outcomes(db) == {"stored"}


@pytest.mark.slow
def test_a_broker_that_restarts_under_a_drain(
    start: Start, settings: Settings, own_broker: Mosquitto, sender: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    """Packet ids start again with each connection; each frame is acknowledged on its own, and none is stored twice."""
    with Command(member(settings, own_broker, "gone"), "ingest", "--mqtt", folder=tmp_path) as command:
        command.wait_healthy()
    send(sender, range(1500))
    slow = member(settings, own_broker, "any", mqtt_receive_maximum=10)
    with drain(slow, tmp_path, "gone") as draining:
        wait_until(lambda: stored(db) >= 100, 30)
        # So quickly that it is there again when the drain notices.
        own_broker.restart()
        assert draining.process.wait(100) == 0, draining.log.read_text()
    assert stored(db) == 1500
    assert db.telemetry_events.count_documents({"outcome": "stored"}) == 1500
    assert outcomes(db) <= {"stored", "duplicate"}


@pytest.mark.slow
def test_a_process_that_comes_back_under_a_drain_has_its_session_again(
    start: Start, settings: Settings, own_broker: Mosquitto, sender: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    """Also where the drain has unsubscribed already: the process subscribes again whenever it connects."""
    with Command(member(settings, own_broker, "back"), "ingest", "--mqtt", folder=tmp_path) as command:
        command.wait_healthy()
    send(sender, range(4000))
    with drain(member(settings, own_broker, "any", mqtt_receive_maximum=10), tmp_path, "back") as draining:
        wait_until(lambda: stored(db) >= 100, 30)
        command = start(member(settings, own_broker, "back"), healthy=False)
        assert draining.process.wait(60) == PROCESS_RUNS
    command.wait_healthy()
    send(sender, range(4000, 4100))
    wait_until(lambda: stored(db) == 4100, 60)


def test_a_living_member_is_not_drained(
    start: Start, settings: Settings, own_broker: Mosquitto, sender: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    using = member(settings, own_broker, "alive")
    command = start(using)
    with drain(using, tmp_path, "alive") as draining:
        sent = 0
        while draining.process.poll() is None:
            send(sender, range(sent, sent := sent + 10))
            with suppress(TimeoutExpired):
                draining.process.wait(0.1)
        assert draining.process.returncode == PROCESS_RUNS
    command.wait_healthy(60)
    wait_until(lambda: stored(db) == sent, 60)


@pytest.mark.slow
def test_a_session_whose_frames_cannot_be_stored_stays(
    settings: Settings, own_broker: Mosquitto, sender: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    gone = member(settings, own_broker, "gone")
    with Command(gone, "ingest", "--mqtt", folder=tmp_path) as command:
        command.wait_healthy()
    send(sender, range(10))

    async def fail_to_drain() -> None:
        async with async_client(gone) as client:
            metrics = IngestMetrics()
            pipeline = Pipeline(registry=get_registry(), settings=gone, db=client[gone.mongo_db_name], metrics=metrics)
            metrics.count_received = None  # type: ignore[assignment,method-assign]  # nobody foresees that
            intake = MqttIntake(pipeline=pipeline, metrics=MqttMetrics(metrics.registry), window=100)
            with pytest.raises(DrainError):
                await Drain(settings=gone, topics=get_registry().topics, intake=intake).drain()

    asyncio.run(fail_to_drain())
    with drain(gone, tmp_path, "gone") as draining:
        assert draining.process.wait(60) == 0, draining.log.read_text()
    assert stored(db) == 10


def test_a_session_that_is_not_there(settings: Settings, own_broker: Mosquitto, tmp_path: Path) -> None:
    with drain(member(settings, own_broker, "any"), tmp_path, "nobody") as draining:
        assert draining.process.wait(60) == NO_SESSION


def test_a_session_changes_to_shared_and_back(
    start: Start, settings: Settings, own_broker: Mosquitto, sender: Publisher, db: Database[Document]
) -> None:
    """Its other subscription must not stay: it would get every frame beside its share."""
    sent = 0
    for shared in (False, True, False):
        command = start(member(settings, own_broker, "changing", mqtt_shared=shared))
        send(sender, range(sent, sent := sent + 50))
        wait_until(lambda: stored(db) == sent)
        assert command.stop() == 0
    assert db.telemetry_events.count_documents({}) == sent
