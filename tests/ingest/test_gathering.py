"""Values that come one by one become readings; none is lost and none counts twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pymongo.database import Database
from redis.asyncio import Redis

from greenpower.bus.keys import latest_key
from greenpower.bus.latest import Latest
from greenpower.bus.message import read_latest, stamp
from greenpower.bus.rebuild import Rebuild
from greenpower.catalog.facts import gather_seconds
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.replay.replay import Replay
from greenpower.ingest.steps.presence import Presence
from greenpower.mongo.client import async_client
from greenpower.mongo.events.store import REDELIVERED
from tests.ingest.conftest import Document, Publisher, wait_events
from tests.ingest.gathered import EM, REGISTRY, install_em, now_slot, value
from tests.ingest.told import Fault, Told, go_through
from tests.process import Command
from tests.wait import wait_until

SLOT = now_slot()
MILLISECOND = timedelta(milliseconds=1)


def at(milliseconds: float) -> Any:
    return SLOT + timedelta(milliseconds=milliseconds)


def through(settings: Settings, *batches: list[Arrival], faults: tuple[Fault, ...] = ()) -> Told:
    return go_through(settings, batches, *faults, registry=REGISTRY)


def stored(db: Database[Document], device: str = "A-0") -> list[tuple[Any, Document]]:
    found = db.em_data.find({"device_id": device}).sort("timestamp")
    return [((row["timestamp"] - SLOT) / MILLISECOND, row["payload"]) for row in found]


def outcomes(db: Database[Document]) -> list[tuple[str, str]]:
    return [(event["outcome"], event.get("reason", "")) for event in db.telemetry_events.find().sort("_id")]


def test_values_of_a_slot_are_one_reading(settings: Settings, db: Database[Document]) -> None:
    values = [value("power", 12.5, at(3)), value("voltage", 230, at(700)), value("total", "8123", at(1500))]
    told = through(settings, values[:2], values[2:], [value("power", 13.5, at(2001))])
    assert stored(db) == [(0, {"power": 12.5, "voltage": 230, "total": 8123}), (2000, {"power": 13.5})]
    assert outcomes(db) == [("stored", "")] * 4
    assert {row["clock"] for row in db.em_data.find()} == {"arrival"}
    assert told.metric("value_conflicts_total", type="gp_em") == 0
    assert db.telemetry_events.distinct("timestamp") == [at(0), at(2000)]


@pytest.mark.parametrize("apart", [True, False], ids=["a batch each", "one batch"])
@pytest.mark.parametrize("again", [True, False], ids=["a process each", "one process"])
def test_a_change_within_a_slot_is_a_reading(
    settings: Settings, db: Database[Document], apart: bool, again: bool
) -> None:
    values = [value("power", power, at(10 * number)) for number, power in enumerate((1, 0, 0, 1, 0))]
    batches = [[one] for one in values] if apart else [values]
    for some in [[batch] for batch in batches] if again else [batches]:
        through(settings, *some)
    assert stored(db) == [(0, {"power": 1}), (10, {"power": 0}), (30, {"power": 1}), (40, {"power": 0})]
    assert [outcome for outcome, _ in outcomes(db)] == ["stored", "stored", "duplicate", "stored", "stored"]
    assert not db.telemetry_events.count_documents({"conflicts": {"$exists": True}})


def test_values_that_another_process_got_in_between_are_kept(settings: Settings, db: Database[Document]) -> None:
    """Another one wrote the field between the look at the slot and the write: both values are there."""
    now = at(0)
    through(settings, [value("voltage", 229, at(1))])
    db.em_data.update_one({"timestamp": now}, {"$set": {"payload.power": 7}})
    # The slot is known by now to a process that began before it: here, one that is told nothing of `power`.
    shared = Settings.model_validate({**settings.model_dump(), "mqtt_shared": False})
    later = [value("power", 8, at(5)), value("voltage", 229, at(6))]
    told = through(shared, later)
    assert stored(db) == [(0, {"voltage": 229, "power": 7}), (5, {"power": 8})]
    assert told.metric("value_conflicts_total", type="gp_em") == 0


@pytest.mark.parametrize("after", [True, False], ids=["after the write", "before the write"])
@pytest.mark.parametrize("collection", ["em_data", "telemetry_events"])
def test_a_write_that_fails_once_changes_nothing(
    settings: Settings, db: Database[Document], collection: str, after: bool
) -> None:
    values = [
        value("power", 1, at(1)),
        value("power", 2, at(2)),
        value("voltage", 3, at(3)),
        value("power", 1, at(4)),
        value("power", 9, at(4), "B/1"),
    ]
    through(settings, values[:2], values[2:], faults=(Fault(collection, after=after),))
    assert stored(db) == [(0, {"power": 1, "voltage": 3}), (2, {"power": 2}), (4, {"power": 1})]
    assert stored(db, "B-1") == [(0, {"power": 9})]
    assert [outcome for outcome, _ in outcomes(db)] == ["stored"] * 5


def test_a_value_that_is_delivered_again_adds_nothing(settings: Settings, db: Database[Document]) -> None:
    first = [value("power", power, at(10 * number), packet=number + 1) for number, power in enumerate((1, 0, 1))]
    again = [
        value("power", power, at(60_000 + number), packet=number + 1, dup=True)
        for number, power in enumerate((1, 0, 1))
    ]
    told = through(settings, first, again[:2])  # by the same process
    through(settings, again[2:])  # by the next one
    assert stored(db) == [(0, {"power": 1}), (10, {"power": 0}), (20, {"power": 1})]
    assert outcomes(db)[3:] == [("duplicate", REDELIVERED)] * 3
    assert told.metric("frames_total", type="gp_em", outcome="duplicate") == 2


def test_a_value_that_was_never_taken_is_stored_although_it_is_delivered_again(
    settings: Settings, db: Database[Document]
) -> None:
    """It was sent to a process that stopped: the same value on the same topic is another frame."""
    through(settings, [value("power", 1, at(0), packet=1), value("power", 0, at(10), packet=2)])
    through(settings, [value("power", 1, at(30_000), packet=3, dup=True)])
    assert stored(db) == [(0, {"power": 1}), (10, {"power": 0}), (30_000, {"power": 1})]


@pytest.mark.parametrize("by", ["the same process", "the next process"])
def test_a_packet_id_that_was_used_since_says_nothing(by: str, settings: Settings, db: Database[Document]) -> None:
    """Some brokers give the same id to each frame: the one that comes again is not the one of before."""
    sent = [value("power", power, at(10 * number), packet=1) for number, power in enumerate((1, 0))]
    again = value("power", 1, at(30), packet=1, dup=True)
    if by == "the same process":
        through(settings, sent, [again])
    else:
        through(settings, sent)
        through(settings, [again])
    assert stored(db) == [(0, {"power": 1}), (10, {"power": 0}), (30, {"power": 1})]


@pytest.mark.parametrize("batches", [1, 5])
def test_a_burst_keeps_every_value_and_their_order(batches: int, settings: Settings, db: Database[Document]) -> None:
    """All in one millisecond, by processes that know only what is stored."""
    values = [value("power", number, at(0)) for number in range(400)]
    size = len(values) // batches
    for begin in range(0, len(values), size):
        through(settings, values[begin : begin + size])
    assert stored(db) == [(number, {"power": number}) for number in range(400)]


def test_a_burst_that_another_process_was_faster_with_loses_nothing(settings: Settings, db: Database[Document]) -> None:
    """Another one wrote 400 values between the look at the slot and the write."""
    values = [value("power", number, at(0)) for number in range(400)]
    keep = {"device_id": "A-0", "topic": "em/A/0/power", "received_at": SLOT, "updated_at": SLOT, "complete": True}
    other = [{**keep, "timestamp": at(number), "payload": {"power": -1}} for number in range(1, 400)]

    def batches() -> Iterator[list[Arrival]]:
        yield values[:1]
        db.em_data.insert_many(other)
        yield values[1:]

    told = go_through(settings, batches(), registry=REGISTRY)
    rows = [payload["power"] for _, payload in stored(db)]
    assert sorted(rows) == [-1] * 399 + [*range(400)]
    assert told.metric("value_conflicts_total", type="gp_em") == 0


def test_a_retained_value_does_not_look_fresh(settings: Settings, db: Database[Document]) -> None:
    through(settings, [value("power", 1, at(0), retained=True), value("voltage", 2, at(0))])
    assert stored(db) == [(0, {"voltage": 2})]
    assert sorted(outcomes(db)) == [("noted", "retained"), ("stored", "")]


@pytest.mark.parametrize(
    ("field", "sent", "reason"),
    [
        ("power", '{"a": 1}', "not-a-value"),
        ("power", "[1]", "not-a-value"),
        ("power", "x" * 5000, "too-long"),
        ("power", "warm", "no-values"),
        ("a.b", "1", "bad-key"),
        ("", "1", "no-field"),
    ],
)
def test_what_is_no_value_costs_its_frame(
    settings: Settings, db: Database[Document], field: str, sent: str, reason: str
) -> None:
    through(settings, [value(field, sent, at(0)), value("voltage", 2, at(0))])
    assert stored(db) == [(0, {"voltage": 2})]
    assert ("rejected", reason) in outcomes(db)


@pytest.mark.parametrize("sent", ["unavailable", "null", "", "NaN", '"Unknown"'])
def test_a_device_without_a_value_is_noted(settings: Settings, db: Database[Document], sent: str) -> None:
    through(settings, [value("power", sent, at(0)), value("voltage", 2, at(0))])
    assert stored(db) == [(0, {"voltage": 2})]
    assert [outcome for outcome, _ in outcomes(db)] == ["noted", "stored"]


def test_killed_again_and_again(
    settings: Settings, publisher: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    """Every value that the broker took is stored, and each once."""
    env = install_em(tmp_path)
    sent: dict[str, list[int]] = {"power": [], "total": []}

    def send(count: int) -> None:
        for _ in range(count):
            number = len(sent["power"]) + 1
            for field, values in sent.items():
                publisher.send(f"em/K/1/{field}", str(number))
                values.append(number)

    for _ in range(4):
        with Command(settings, "ingest", "--mqtt", folder=tmp_path, env=env) as command:
            command.wait_healthy()
            before = db.telemetry_events.count_documents({})
            send(400)
            wait_until(lambda before=before: db.telemetry_events.count_documents({}) > before + 100)  # type: ignore[misc]
            command.kill()
    with Command(settings, "ingest", "--mqtt", folder=tmp_path, env=env) as command:
        command.wait_healthy()
        send(1)
        publisher.flush()
        wait_until(lambda: db.em_data.count_documents({"payload.total": len(sent["total"])}) == 1, 30)
        rows = list(db.em_data.find({"device_id": "K-1"}).sort("timestamp"))
    for field, values in sent.items():
        found = [row["payload"][field] for row in rows if field in row["payload"]]
        assert sorted(found) == values, field
        assert found == values, field  # in order, too


def test_the_same_few_values_again_and_again_are_each_kept(
    settings: Settings, publisher: Publisher, db: Database[Document], tmp_path: Path
) -> None:
    """Payloads alone would not tell them apart."""
    with Command(settings, "ingest", "--mqtt", folder=tmp_path, env=install_em(tmp_path)) as command:
        command.wait_healthy()
        for number in range(50):
            publisher.send("em/L/0/power", str(number % 2))
        publisher.flush()
        wait_events(db, 50, device_id="L-0")
    rows = list(db.em_data.find({"device_id": "L-0"}).sort("timestamp"))
    assert [row["payload"]["power"] for row in rows] == [number % 2 for number in range(50)]


def test_the_declaration_says_that_it_gathers() -> None:
    assert EM.gathers and EM.topics[0].gather == 2.0


def test_every_field_is_told_with_its_own_time(settings: Settings, db: Database[Document]) -> None:
    """Merged when the slot has ended, kept by Redis over the slots, and filled from MongoDB when Redis lost it."""
    first = [value("voltage", 230, at(-600_000)), value("total", 5, at(-600_000))]
    through(settings, first)
    told = through(settings, [value("power", 1, at(0))], [value("total", 6, at(500)), value("power", 2, at(700))])
    expected = {"voltage": 230, "total": 6, "power": 2}
    times = {"voltage": stamp(at(-600_000)), "total": stamp(at(0))}
    for found in (told.newest("gp_em", "A-0"), told.kept["gp_em", "A-0"], told.cache.reading("gp_em", "A-0")):
        assert found is not None
        assert (found["timestamp"], found["payload"], found["times"]) == (stamp(at(700)), expected, times)

    async def rebuild() -> None:
        async with async_client(settings) as client, Redis.from_url(settings.need("REDIS_URL")) as redis:
            await redis.flushall()
            types = {EM.name: EM.collection}
            filled = Rebuild(client[settings.mongo_db_name], types, Latest(redis), redis, gather_seconds(REGISTRY))
            await filled.fill()
            rebuilt = read_latest(await cast(Any, redis).hget(latest_key(EM.name), "A-0"))
            assert rebuilt is not None
            assert (rebuilt["payload"], rebuilt["times"]) == (expected, times)

    asyncio.run(rebuild())


def test_when_fields_were_measured_is_known_again_after_a_kill(settings: Settings, db: Database[Document]) -> None:
    through(settings, [value("voltage", 230, at(-600_000))], [value("power", 1, at(0))])
    db.devices_seen.update_one({"_id": "gp_em|A-0"}, {"$unset": {"fields": ""}})

    async def recover() -> None:
        async with async_client(settings) as client:
            name = settings.mongo_db_name
            await Presence(client[name].devices_seen, gathering=[EM]).recover(client[name])

    asyncio.run(recover())
    seen = db.devices_seen.find_one({"_id": "gp_em|A-0"})
    assert seen is not None and seen["fields"] == {"voltage": at(-600_000), "power": at(0)}
    assert seen["interval"] == 600


def test_a_replay_gives_what_was_stored(settings: Settings, db: Database[Document]) -> None:
    values = [value("power", power, at(10 * number - 60_000)) for number, power in enumerate((1, 0, 0, 1))]
    through(settings, values, [value("voltage", 229, at(-59_000))])
    before = stored(db)
    db.em_data.update_many({}, {"$set": {"updated_at": at(-600_000), "payload.power": 77}})
    db.telemetry_events.update_one({"raw": "229"}, {"$set": {"outcome": "rejected"}, "$unset": {"timestamp": ""}})

    async def replay() -> None:
        async with async_client(settings) as client:
            summary = await Replay(
                registry=REGISTRY, settings=settings, db=client[settings.mongo_db_name], datatype=EM,
                since=at(-120_000), until=at(60_000),
            ).run()  # fmt: skip
            assert summary.rejected == {}

    asyncio.run(replay())
    assert stored(db) == before
