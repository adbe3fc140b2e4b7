"""Frames that ingest held when it was killed, and which the broker does not know any more."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.batcher import Batcher
from greenpower.ingest.redelivered import Redelivered
from greenpower.ingest.spool import Spool
from greenpower.mongo.client import Document
from greenpower.stack import Mosquitto
from tests.ingest.conftest import Publisher, frame
from tests.memory import SmallMongod
from tests.process import Command
from tests.wait import wait_until

AT = datetime(2026, 11, 29, 1, 2, 3, 456_000, tzinfo=UTC)


def arrivals() -> list[Arrival]:
    solar = next(datatype for datatype in get_registry() if datatype.gateways)
    return [
        Arrival(topic="MQTT_RT_DATA", payload=b'{"id": "1"}', received_at=AT, source="mqtt"),
        Arrival(topic="t/\u00e9", payload=b"\xff\x00", received_at=AT, source="mqtt", retained=True),
        Arrival(topic="x", payload=b"", received_at=AT, source="lines", rejected="too-large", raw={"raw": "a"}),
        Arrival(topic="tcp", payload=b"1", received_at=AT, source="tcp", device="d", datatype=solar, noted="n"),
    ]


def same(left: Arrival, right: Arrival) -> bool:
    names = ("topic", "payload", "received_at", "source", "retained", "device", "datatype", "rejected", "noted", "raw")
    return all(getattr(left, name) == getattr(right, name) for name in names)


def read_left(home: Path) -> list[Arrival]:
    """What another process finds, and takes away."""
    spool = Spool(home)
    spool.open()
    found = []
    with spool.left(get_registry()) as files:
        for left in files:
            found += left.arrivals
            left.remove()
    spool.close()
    return found


def killed(home: Path, frames: list[Arrival]) -> None:
    """A process that held these frames and was killed: the kernel gives up its lock."""

    async def hold() -> None:
        spool = Spool(home)
        spool.open()
        file = spool.file()
        assert file is not None
        for arrival in frames:
            file.add(arrival)
        file.flush()
        os.close(spool._lock)

    asyncio.run(hold())


def test_what_a_killed_process_held_is_read_as_it_came(tmp_path: Path) -> None:
    killed(tmp_path, arrivals())
    found = read_left(tmp_path)
    assert len(found) == 4 and all(same(*pair) for pair in zip(found, arrivals(), strict=True))
    assert all(arrival.dup for arrival in found)
    assert read_left(tmp_path) == []
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["lock"]


def test_the_frames_of_a_living_process_are_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path)
        spool.open()
        file = spool.file()
        assert file is not None
        file.add(arrivals()[0])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert file.path.stat().st_size
        assert read_left(tmp_path) == []
        file.remove()
        spool.close()

    asyncio.run(scenario())
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["lock"]


def test_a_batch_is_spooled_until_it_is_stored(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path)
        spool.open()
        go, fails = asyncio.Event(), [True]

        async def process(frames: list[Arrival]) -> None:
            await go.wait()
            if fails.pop():
                raise ValueError("reason-24")

        batcher = Batcher(process, spool)
        done = batcher.add(arrivals()[0])
        while not (files := list(tmp_path.rglob("*.frames"))):
            await asyncio.sleep(0.01)
        go.set()
        with pytest.raises(ValueError, match="reason-24"):
            await done
        assert list(tmp_path.rglob("*.frames")) == files
        fails.append(False)
        await batcher.add(arrivals()[1])
        assert list(tmp_path.rglob("*.frames")) == files

    asyncio.run(scenario())


@pytest.mark.parametrize("cut", [1, 4, 40])
def test_a_file_that_is_cut_off_is_set_aside_after_what_it_has_is_stored(cut: int, tmp_path: Path) -> None:
    killed(tmp_path, arrivals())
    [path] = tmp_path.rglob("*.frames")
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(read_left(tmp_path)) == 3
    [aside] = path.parent.iterdir()
    assert aside.name.startswith(f"{path.name}.broken-")
    assert read_left(tmp_path) == []


@pytest.mark.parametrize("kind", ["garbage", "empty", "folder", "other"])
def test_a_broken_file_stops_nobody(kind: str, tmp_path: Path) -> None:
    killed(tmp_path, arrivals()[:1])
    [path] = tmp_path.rglob("*.frames")
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes({"garbage": os.urandom(999), "empty": b"", "other": b"\x05\x00\x00\x00\x00"}[kind])
    killed(tmp_path, arrivals()[1:2])
    [found] = read_left(tmp_path)
    assert same(found, arrivals()[1])
    assert len(list(tmp_path.rglob("*.broken-*"))) == (kind != "empty")


@pytest.mark.parametrize("where", ["spool", "spool/lock"])
def test_a_home_that_cannot_be_used_is_said_once(where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if where == "spool":
        (tmp_path / where).touch()
    else:
        (tmp_path / where).mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        spool = Spool(tmp_path)
        spool.open()
        assert spool.file() is None
        spool.close()
        assert len(caplog.records) == 1


def test_a_frame_of_the_spool_that_the_broker_delivers_again_is_the_same_frame() -> None:
    now = [0.0]
    redelivered = Redelivered(lambda: now[0], 10)
    one = arrivals()[0]
    again = Arrival(topic=one.topic, payload=one.payload, received_at=AT, source="mqtt", dup=True)
    assert not redelivered.take(again)
    redelivered.expect(one)
    redelivered.expect(one)
    assert not redelivered.take(one)
    assert [redelivered.take(again) for _ in range(3)] == [True, True, False]
    redelivered.expect(one)
    now[0] = 11
    assert not redelivered.take(again)


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[SmallMongod]:
    with SmallMongod(tmp_path / "mongod") as part:
        yield part


@pytest.mark.slow
@pytest.mark.parametrize("broker_forgets", [True, False])
@pytest.mark.timeout(120)
def test_frames_in_memory_outlive_broker_and_ingest(
    broker_forgets: bool, own_mongod: SmallMongod, settings: Settings, tmp_path: Path
) -> None:
    """Each has its reading and exactly one event, whether the broker delivers it again or not."""
    with Mosquitto(tmp_path / "broker", options={"autosave_interval": "1800"}) as broker:
        using = settings.model_copy(
            update={"mongo_db_uri": type(settings.mongo_db_uri)(own_mongod.uri), "mqtt_port": broker.port}
        )
        with MongoClient[Document](own_mongod.uri) as client:
            db: Database[Any] = client[settings.mongo_db_name]
            with Command(using, "ingest", "--mqtt", folder=tmp_path) as ingest:
                ingest.wait_healthy()
                publisher = Publisher(broker.host, broker.port)
                send(publisher, 0)
                wait_until(lambda: db.telemetry_events.count_documents({}) == 1, 40)
                own_mongod.pause()
                for number in range(1, 300):
                    send(publisher, number)
                publisher.flush()
                wait_until(lambda: spooled(tmp_path) >= 299)
                if broker_forgets:
                    broker.kill()
                ingest.kill()
                own_mongod.resume()
            if broker_forgets:
                broker.start()
            with Command(using, "ingest", "--mqtt", folder=tmp_path) as ingest:
                ingest.wait_healthy()
                wait_until(lambda: db.telemetry_events.count_documents({}) >= 300, 40)
                send(Publisher(broker.host, broker.port), 300)
                wait_until(lambda: db.telemetry_events.count_documents({"device_id": "33B0000000300"}) == 1, 40)
                assert db.grid_rt_data.count_documents({}) == 301
                assert db.telemetry_events.count_documents({}) == 301
                assert not list(tmp_path.rglob("*.broken-*"))
                wait_until(lambda: spooled(tmp_path) == 0)


def send(publisher: Publisher, number: int) -> None:
    publisher.send("MQTT_RT_DATA", frame(f"33B{number:010d}"))


def spooled(home: Path) -> int:
    """The frames in the spool."""
    return sum(path.read_bytes().count(b"MQTT_RT_DATA\x00") for path in home.rglob("*.frames"))
