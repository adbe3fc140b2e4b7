"""Replay gives what a fresh ingest would have given, and only that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings
from greenpower.datatype import Frame, Reading
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.replay.replay import Replay, Summary
from greenpower.mongo.client import async_client
from greenpower.mongo.readings.clock_mark import ARRIVAL
from tests.ingest.conftest import Document, frame
from tests.ingest.steps.test_clock import through_pipelines
from tests.ingest.steps.test_pairing import TOPIC, message
from tests.ingest.told import go_through

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
SPAN = (START - timedelta(days=2), START + timedelta(days=3))
Parse = Callable[[Frame], tuple[Reading, ...]]


def with_parser(change: Callable[[Reading], Reading]) -> Registry:
    """Today's registry, the parser of rt changed."""
    rt = get_registry()["rt"]

    def parse(frame: Frame) -> tuple[Reading, ...]:
        return tuple(change(reading) for reading in rt.parse(frame))

    return Registry.of(*(replace(item, parse=parse) if item is rt else item for item in get_registry()))


def other_sign(reading: Reading) -> Reading:
    reading.values = {key: -value if key == "zyggl" else value for key, value in reading.values.items()}
    return reading


def other_zone(reading: Reading) -> Reading:
    if reading.stamp is not None:
        reading.stamp = reading.stamp.replace(tzinfo=timezone(timedelta(hours=2)))
    return reading


def the_same(reading: Reading) -> Reading:
    return reading


def run_replay(
    settings: Settings,
    registry: Registry,
    *,
    name: str = "rt",
    span: tuple[datetime, datetime] = SPAN,
    dry_run: bool = False,
) -> Summary:
    """One replay of a type."""

    async def go() -> Summary:
        async with async_client(settings) as client:
            db = client[settings.mongo_db_name]
            job = Replay(
                registry=registry, settings=settings, db=db, datatype=registry[name], since=span[0], until=span[1]
            )
            return await job.run(dry_run=dry_run)

    return asyncio.run(go())


def traffic() -> list[tuple[Document, datetime]]:
    """Two meters, one of them in 2005, with duplicates, zero twins, conflicts, split packets and late ones."""
    run: list[tuple[Document, datetime]] = []
    for n in range(40):
        arrival = START + timedelta(minutes=n, milliseconds=250)
        good = frame(time=START + timedelta(minutes=n), zyggl=1.0 + n)
        run.append((good, arrival))
        run.append(({**good, "ua": 0.0, "ub": 0.0, "uc": 0.0, "zyggl": 0.0, "qa": 0.0, "f": 0.0}, arrival))
        if n % 3 == 0:
            run.append((good, arrival + timedelta(milliseconds=100)))
        if n % 5 == 0:
            run.append(({**good, "zyggl": 2.0 + n, "ia": 1.5}, arrival + timedelta(seconds=20)))
        wrong = {"id": "33B2005", "time": f"200501182{1 + n // 30}{15 + n % 30}00", "zyggl": 5.0 + n, "isend": "1"}
        run.append((wrong, arrival + timedelta(milliseconds=n)))
    return sorted(run, key=lambda item: item[1])


def content(db: Database[Document]) -> list[dict[str, Any]]:
    """The readings but for what differs between any two runs."""
    rows = db.grid_rt_data.find({}, {"_id": 0, "updated_at": 0}).sort([("device_id", 1), ("timestamp", 1)])
    return list(rows)


@pytest.mark.parametrize("change", [the_same, other_sign, other_zone])
def test_replay_equals_a_fresh_ingest(
    settings: Settings,
    db: Database[Document],
    change: Callable[[Reading], Reading],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    through_pipelines(settings, traffic())
    before = content(db)
    registry = with_parser(change)
    assert run_replay(settings, registry, dry_run=True).changes.same <= len(before)
    assert content(db) == before
    summary = run_replay(settings, registry)
    replayed = content(db)
    assert (summary.changes.total == 0) is (change is the_same)
    assert summary.changes.touched == summary.changes.expired == 0

    db.client.drop_database(db.name)
    monkeypatch.setattr("tests.ingest.steps.test_clock.get_registry", lambda: registry)
    through_pipelines(settings, traffic())
    assert replayed == content(db)


def test_a_replay_says_the_same_of_times_of_arrival(settings: Settings, db: Database[Document]) -> None:
    """No stamp, and a stuck one; of a reading that lost or gained its mark, too."""
    standing = [(frame(time=START, zyggl=1.0 + n), START + timedelta(seconds=30 * n)) for n in range(12)]
    station: Document = {"topic": "CCCL/PURBACHAL/ENV_01", "hum(%)": 40.5}
    through_pipelines(settings, [*standing, *((station, START + timedelta(seconds=n)) for n in range(3))])
    kept = {"_id": 0, "updated_at": 0}
    for name, collection in (("rt", "grid_rt_data"), ("environment", "environment_data")):
        before = list(db[collection].find({}, kept).sort("timestamp"))
        assert sum("clock" in reading for reading in before) == (8 if name == "rt" else 3)
        assert run_replay(settings, get_registry(), name=name).changes.total == 0
        db[collection].update_one({"clock": ARRIVAL}, {"$unset": {"clock": ""}})
        if name == "rt":
            db[collection].update_one({"timestamp": START}, {"$set": {"clock": ARRIVAL}})
        assert run_replay(settings, get_registry(), name=name).changes.changed == (2 if name == "rt" else 1)
        assert list(db[collection].find({}, kept).sort("timestamp")) == before


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_replay_in_small_batches_is_the_same(
    settings: Settings, db: Database[Document], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Some frames arrive in one millisecond: more of them than a batch holds."""
    at_once = [(body, START + timedelta(minutes=n // 10)) for n, (body, _) in enumerate(traffic())]
    through_pipelines(settings, at_once)
    before = content(db)
    whole = run_replay(settings, with_parser(the_same), dry_run=True)
    monkeypatch.setattr("greenpower.ingest.replay.replay.EVENTS_PER_BATCH", size)
    summary = run_replay(settings, with_parser(the_same))
    assert (summary.events, summary.readings) == (whole.events, whole.readings)
    assert summary.changes.total == 0
    assert content(db) == before


def test_a_replay_is_idempotent(settings: Settings, db: Database[Document]) -> None:
    through_pipelines(settings, traffic())
    registry = with_parser(other_zone)
    db.rollup_marks.delete_many({})
    assert run_replay(settings, registry).changes.total > 0
    marked = {(mark["device_id"], mark["prefix"]) for mark in db.rollup_marks.find()}
    assert marked == {("33B1225950027", "today_")}  # the other one is moved to its arrival in any zone
    before = content(db)
    assert run_replay(settings, registry).changes.total == 0
    assert content(db) == before


def test_what_no_event_yields_any_more_goes_and_what_is_missing_comes_back(
    settings: Settings, db: Database[Document]
) -> None:
    through_pipelines(settings, traffic())
    before = content(db)
    old = datetime.now(UTC) - timedelta(days=1)
    db.grid_rt_data.delete_many({"device_id": "33B2005"})
    db.grid_rt_data.insert_one(
        {
            "device_id": "ghost",
            "topic": "MQTT_RT_DATA",
            "timestamp": START,
            "received_at": old,
            "updated_at": old,
            "payload": {"ua": 1.0},
            "complete": True,
        }
    )
    summary = run_replay(settings, get_registry())
    assert (summary.changes.added, summary.changes.removed) == (40, 1)
    assert content(db) == before


def test_a_reading_whose_event_was_written_for_its_redelivery_stays(settings: Settings, db: Database[Document]) -> None:
    """Ingest was killed between the reading and its event."""
    body = {"topic": "CCCL/PURBACHAL/ENV_01", "temp_1(*C)": 20.0, "hum(%)": 40.5}
    through_pipelines(settings, [(body, START)])
    db.telemetry_events.delete_many({})
    through_pipelines(settings, [(body, START + timedelta(minutes=5))], dup=True)
    [reading] = db.environment_data.find()
    [event] = db.telemetry_events.find()
    assert (event["outcome"], event["timestamp"]) == ("duplicate", reading["timestamp"])
    summary = run_replay(settings, get_registry(), name="environment")
    assert summary.changes.removed == 0
    [after] = db.environment_data.find()
    assert (after["timestamp"], after["payload"]) == (reading["timestamp"], reading["payload"])


def test_readings_outside_the_span_or_without_their_events_stay(settings: Settings, db: Database[Document]) -> None:
    through_pipelines(settings, traffic())
    span = (START + timedelta(minutes=10), START + timedelta(minutes=20))
    db.telemetry_events.delete_many({})
    short = Settings.model_validate({**settings.model_dump(), "mongo_events_ttl_seconds": 3600})
    before = content(db)
    summary = run_replay(short, get_registry(), span=span)
    assert summary.changes.total == 0
    assert summary.changes.expired == 20
    assert content(db) == before
    assert run_replay(settings, get_registry(), span=span).changes.removed == 20
    assert db.grid_rt_data.count_documents({}) == len(before) - 20


def test_a_reading_written_meanwhile_is_left_alone(settings: Settings, db: Database[Document]) -> None:
    through_pipelines(settings, traffic())
    db.telemetry_events.delete_many({})
    db.grid_rt_data.update_many(
        {"device_id": "33B2005"}, {"$set": {"updated_at": datetime.now(UTC) + timedelta(minutes=1)}}
    )
    summary = run_replay(settings, get_registry())
    assert summary.changes.touched == 40
    assert db.grid_rt_data.count_documents({"device_id": "33B2005"}) == 40


def test_events_of_a_topic_that_was_not_claimed_then(settings: Settings, db: Database[Document]) -> None:
    through_pipelines(settings, [(frame(time=START), START + timedelta(seconds=1))])
    db.telemetry_events.update_many(
        {}, {"$set": {"type": None, "outcome": "rejected", "reason": "unclaimed-topic"}, "$unset": {"timestamp": ""}}
    )
    before = content(db)
    db.grid_rt_data.delete_many({})
    assert run_replay(settings, get_registry()).changes.added == 1
    assert content(db) == before


def test_types_other_than_the_one_asked_for_are_not_touched(settings: Settings, db: Database[Document]) -> None:
    station = {"topic": "CCCL/PURBACHAL/ENV_01", "temp_1(*C)": 21.5}
    through_pipelines(settings, [(station, START), (frame(time=START), START)])
    run_replay(settings, get_registry())
    assert db.environment_data.count_documents({}) == 1


def replay_generator(settings: Settings) -> Summary:
    """A replay of all that generators sent."""

    async def go() -> Summary:
        async with async_client(settings) as client:
            registry = get_registry()
            job = Replay(
                registry=registry,
                settings=settings,
                db=client[settings.mongo_db_name],
                datatype=registry["generator"],
                since=SPAN[0],
                until=SPAN[1],
            )
            return await job.run()

    return asyncio.run(go())


def at_second(second: float, payload: str) -> Arrival:
    received_at = START + timedelta(seconds=second)
    return Arrival(topic=TOPIC, payload=payload.encode(), received_at=received_at, source="mqtt")


@pytest.mark.parametrize("wrong", [timedelta(), timedelta(days=700)], ids=["right clock", "wrong clock"])
def test_a_fragment_that_waited_is_settled_as_the_one_that_names_its_device(
    settings: Settings, db: Database[Document], monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    """Frames that were read and dropped before it, whose events say something else, do not matter."""
    tp = int((START - wrong).timestamp() * 1000)
    dropped = [at_second(1 + number / 10, "no json") for number in range(8)]
    batches = [[at_second(0.5, message(tp, p1=1.0))], dropped, [at_second(9, message(tp, p0="GENERATOR_1", p2=2.0))]]
    go_through(settings, batches)
    db.telemetry_events.update_many({"reason": "not-json"}, {"$set": {"clock": "stuck", "reason": "unregistered"}})
    [before] = db.generator_data.find()
    assert before["payload"] == {"1": 1.0, "2": 2.0}
    # The fragment is in the first batch, the frame that names its device comes after the dropped ones in the second.
    monkeypatch.setattr("greenpower.ingest.replay.replay.EVENTS_PER_BATCH", 9)
    db.telemetry_events.insert_many(
        [
            {"type": "generator", "topic": TOPIC, "received_at": START - timedelta(seconds=1 + number), "raw": "-"}
            for number in range(8)
        ]
    )
    summary = replay_generator(settings)
    assert (summary.readings, summary.changes.total, summary.changes.same) == (2, 0, 1)
