"""Runs of tiers over the small world: in order, late, after downtime, beside themselves."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.datatype import DataType
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.rollups import compute, parts
from greenpower.rollups.documents import Task, make_documents
from greenpower.rollups.tier_run import TierRun
from tests.measure.rolled import states
from tests.rollups.conftest import T0
from tests.rollups.world import ENERGY, POWER, World

MINUTE = timedelta(minutes=1)


def readings(seed: int, begin: datetime, count: int, step: timedelta) -> list[Any]:
    """A faulty device's readings: gaps, missing fields, dips, resets, spikes, roll-overs, undeclared fields."""
    rng = random.Random(seed)
    made = []
    c, d = round(rng.uniform(0, 9000), 3), rng.randrange(9_000, 10_000)
    time = begin
    for _ in range(count):
        time += step * (1 if rng.random() < 0.97 else rng.randrange(2, 9))
        c = round(c + rng.uniform(0, 0.4), 3)
        d = (d + rng.randrange(0, 9)) % 10_000
        if rng.random() < 0.005:
            c = round(rng.uniform(0, 1), 3)
        shown_c: float = c
        if rng.random() < 0.01:
            shown_c = 0
        elif rng.random() < 0.005:
            shown_c = c + 1e6
        payload: dict[str, Any] = {
            "g": round(rng.uniform(-5, 5), 4),
            "a": round(rng.uniform(0, 360), 2),
            "s": rng.randrange(100),
            "c": shown_c,
            "d": 0 if rng.random() < 0.01 else d,
            "x": rng.random(),
        }
        if rng.random() < 0.05:
            payload = {"g": payload["g"]}
        elif rng.random() < 0.03:
            del payload["c"]
        made.append((time + timedelta(milliseconds=rng.randrange(0, 999)), payload))
    return made


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
def test_everything_at_once_equals_the_plain_recomputation(world: World, datatype: DataType) -> None:
    for number in range(3):
        world.store(datatype, f"d{number}", readings(number, T0, 300, MINUTE))
    world.now = T0 + timedelta(hours=7)
    world.run(datatype)
    assert world.check(datatype) > (300 if datatype is POWER else 40)


@pytest.mark.parametrize(
    ("datatype", "between"),
    [(ENERGY, 13), *(pytest.param(POWER, minutes, marks=pytest.mark.slow) for minutes in (13, 37))],
    ids=lambda item: getattr(item, "name", item),
)
def test_run_after_run_equals_the_plain_recomputation(world: World, datatype: DataType, between: int) -> None:
    """A run every so many minutes, while readings come."""
    left = {f"d{number}": readings(number, T0, 150, MINUTE * 2) for number in range(2)}
    world.now = T0
    while any(left.values()):
        world.now += timedelta(minutes=between)
        for device, ahead in left.items():
            due = [item for item in ahead if item[0] <= world.now]
            world.store(datatype, device, due)
            left[device] = ahead[len(due) :]
        world.run(datatype)
    world.check(datatype)
    world.now += timedelta(hours=8)
    world.run(datatype)
    world.check(datatype)
    assert world.db[datatype.tiers[-1].prefix + datatype.collection].count_documents({"final": False}) == 0


@pytest.mark.parametrize("datatype", [pytest.param(POWER, marks=pytest.mark.slow), ENERGY], ids=lambda item: item.name)
def test_late_data_reaches_every_tier_in_one_run(world: World, datatype: DataType) -> None:
    """A backlog of every other reading, one reading three weeks old, one between two others long final."""
    for number in range(4):
        all_readings = readings(number, T0, 200, MINUTE * 3)
        world.store(datatype, f"d{number}", all_readings[::2])
        world.now = T0 + timedelta(hours=14)
        world.run(datatype)
        world.store(datatype, f"d{number}", all_readings[1::2])
    old = [(T0 - timedelta(days=21), {"g": 1.5, "c": 3.0, "d": 9000}), (T0 - timedelta(days=20), {"c": 1.0})]
    world.store(datatype, "d0", old)
    world.run(datatype)
    world.check(datatype)
    assert world.db.rollup_marks.count_documents({}) == 0


@pytest.mark.parametrize("datatype", [pytest.param(POWER, marks=pytest.mark.slow), ENERGY], ids=lambda item: item.name)
def test_readings_in_any_order_give_the_same(world: World, datatype: DataType) -> None:
    """Each reading late by chance, runs in between: counters' neighbours are computed again, hours away if need be."""
    rng = random.Random(7)
    left = [("d0", item) for item in readings(1, T0, 60, MINUTE * 20)] + [
        ("d1", item) for item in readings(2, T0, 40, MINUTE * 45)
    ]
    left.sort(key=lambda pair: pair[1][0] + timedelta(minutes=rng.expovariate(1 / 120)))
    world.now = T0
    while left:
        due, left = left[:7], left[7:]
        world.now = max([world.now, *(item[0] for _, item in due)]) + timedelta(seconds=rng.randrange(200))
        for device, item in due:
            world.store(datatype, device, [item])
        world.run(datatype)
    world.check(datatype)


def test_a_reading_that_is_gone_takes_its_buckets_with_it(world: World) -> None:
    world.store(POWER, "d0", [(T0, {"g": 1}), (T0 + timedelta(hours=2), {"g": 2})])
    world.now = T0 + timedelta(hours=14)
    world.run(POWER)
    world.db.power_data.delete_one({"timestamp": T0})
    invalidate(world.db.rollup_marks, [Place.of("power", "today_", "d0", T0)])
    world.run(POWER)
    world.check(POWER)
    assert world.db.today_power_data.count_documents({}) == 1


def test_nothing_is_deleted_because_its_source_expired(world: World) -> None:
    """Raw kept for two days: an invalidation further back leaves what was computed then, and is counted."""
    world.settings = world.settings.model_copy(update={"mongo_raw_ttl_seconds": 2 * 86_400})
    world.store(POWER, "d0", readings(3, T0, 100, MINUTE * 5))
    world.now = T0 + timedelta(hours=12)
    world.run(POWER)
    before = list(world.db.this_year_power_data.find())
    world.now = T0 + timedelta(days=12)
    world.db.power_data.delete_many({})
    world.db.today_power_data.delete_many({})
    world.db.last_7_days_power_data.delete_many({})
    world.run(POWER)
    invalidate(world.db.rollup_marks, [Place.of("power", "today_", "d0", T0)])
    counts = world.run(POWER)
    assert counts["power/last_30_days_"].left_alone > 0
    after = list(world.db.this_year_power_data.find())
    assert [(b["timestamp"], states(b)) for b in before] == [(b["timestamp"], states(b)) for b in after]
    assert world.db.rollup_marks.count_documents({}) == 0


def test_a_longer_retention_does_not_bring_back_what_expired(world: World) -> None:
    """What was a day's retention before is not whole for the week that the setting says now."""
    world.store(POWER, "d0", readings(3, T0, 100, MINUTE * 5))
    world.now = T0 + timedelta(hours=12)
    world.run(POWER)
    world.now = T0 + timedelta(days=3)
    world.run(POWER)
    world.db.today_power_data.delete_many({})
    world.settings = world.settings.model_copy(update={"mongo_today_ttl_seconds": 7 * 86_400})
    buckets = world.db.last_7_days_power_data
    wanted = {bucket["timestamp"]: states(bucket) for bucket in buckets.find()}
    invalidate(world.db.rollup_marks, [Place.of("power", "last_7_days_", "d0", T0)])
    world.run(POWER)
    assert {bucket["timestamp"]: states(bucket) for bucket in buckets.find()} == wanted


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
def test_after_26_hours_down_no_window_is_missing_and_none_doubled(world: World, datatype: DataType) -> None:
    world.settings = world.settings.model_copy(update={"mongo_today_ttl_seconds": 3 * 86_400})
    everything = readings(5, T0, 180, MINUTE * 10)
    soon = [item for item in everything if item[0] < T0 + timedelta(hours=2)]
    world.store(datatype, "d0", soon)
    world.now = T0 + timedelta(hours=2)
    world.run(datatype)
    # Ingest went on meanwhile: nothing of it was late.
    for item in everything[len(soon) :]:
        world.now = item[0]
        world.store(datatype, "d0", [item])
    world.now = max(world.now, T0 + timedelta(hours=28))
    world.run(datatype)
    world.check(datatype)


def test_a_step_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is to catch up with, only so much is in memory at once, a window of many devices included."""
    monkeypatch.setattr(parts, "MAX_READINGS_PER_PART", 50)
    monkeypatch.setattr(parts, "MAX_BUCKETS_PER_PART", 20)
    for number in range(8):
        world.store(ENERGY, f"d{number}", readings(number, T0, 80, MINUTE))
    world.now = T0 + timedelta(hours=14)
    most = 0

    def watched(run: TierRun, task: Task) -> Any:
        nonlocal most
        made = make_documents(run, task)
        if run.plan.window is not None and task.source.window is None:
            most = max(most, sum(d["coverage"]["count"] for d in made.documents))
        return made

    monkeypatch.setattr(compute, "make_documents", watched)
    world.run(ENERGY)
    world.check(ENERGY)
    assert most <= 240  # a window of 30 readings of each of 8 devices, in groups


def test_running_again_changes_nothing_but_the_open_windows(world: World) -> None:
    world.store(POWER, "d0", readings(3, T0, 100, MINUTE * 5))
    world.now = T0 + timedelta(hours=14)
    world.run(POWER)
    before = [list(world.db[name].find()) for name in POWER.collections]
    world.run(POWER)
    assert [list(world.db[name].find()) for name in POWER.collections] == before
    invalidate(world.db.rollup_marks, [Place.of("power", "today_", "d0", T0 + timedelta(hours=1))])
    world.run(POWER)
    strip = {"as_of": None, "updated_at": None}
    after = [list(world.db[name].find()) for name in POWER.collections]
    assert [[{**d, **strip} for d in part] for part in after] == [[{**d, **strip} for d in part] for part in before]


def test_a_drop_is_decided_by_what_comes_hours_later(world: World) -> None:
    """The meter shows 0, is away for a day and comes back: a glitch, although its windows were long past."""
    world.store(POWER, "d0", [(T0 - MINUTE, {"c": 499.9}), (T0, {"c": 500.0}), (T0 + MINUTE, {"c": 0.0})])
    world.now = T0 + timedelta(hours=1)
    world.run(POWER)
    bucket = world.db.today_power_data.find_one({"timestamp": T0 + MINUTE})
    assert bucket is not None and not bucket["final"] and "c" not in bucket["stats"]
    world.now = T0 + timedelta(hours=30)
    world.store(POWER, "d0", [(world.now - timedelta(seconds=5), {"c": 3.0})])
    world.run(POWER)
    world.check(POWER)
    world.now += timedelta(minutes=30)
    world.store(POWER, "d0", [(world.now - timedelta(minutes=n, seconds=5), {"c": 4.0 - n / 10}) for n in range(3)])
    world.run(POWER)
    world.check(POWER)
    assert world.db.counter_incidents.count_documents({"incident": "reset", "current": True}) == 1


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
@pytest.mark.parametrize("computed", [False, True], ids=["new", "computed before"])
def test_a_frozen_job_brings_nothing_back_that_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch, datatype: DataType, computed: bool
) -> None:
    """A job has read its source and freezes; the readings go and another run computes the tier; then it writes."""
    world.store(datatype, "d0", readings(5, T0, 40, MINUTE))
    world.now = T0 + timedelta(hours=1)
    if computed:
        world.run(datatype)
        world.store(datatype, "d0", readings(6, T0 + timedelta(seconds=5), 30, MINUTE))
    frozen = []

    def freeze(run: TierRun, task: Task) -> Any:
        made = make_documents(run, task)
        if run.plan.name not in frozen:
            frozen.append(run.plan.name)
            times = [document["timestamp"] for document in raw.find({"timestamp": {"$lt": T0 + MINUTE * 20}})]
            raw.delete_many({"timestamp": {"$in": times}})
            world.invalidate_late(datatype, "d0", times)
            world.run(datatype)
        return made

    raw = world.db[datatype.collection]
    monkeypatch.setattr(compute, "make_documents", freeze)
    world.run(datatype)
    assert len(frozen) > 0
    world.run(datatype)
    world.check(datatype)
    assert world.db.rollup_attempts.count_documents({}) == 0


def test_what_a_killed_job_left_is_computed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wrote buckets and incidents and died: the next run computes them again, those after it have nothing to do."""
    world.store(ENERGY, "d0", readings(5, T0, 300, MINUTE))
    world.now = T0 + timedelta(hours=6)
    monkeypatch.setattr(compute, "finish_attempt", lambda collection, attempt, *, failed=False: None)
    world.run(ENERGY)
    monkeypatch.undo()
    assert world.db.rollup_attempts.count_documents({"done": False}) > 0
    assert world.db.counter_incidents.count_documents({}) > 0
    assert sum(counts.invalidations for counts in world.run(ENERGY).values()) > 0
    assert sum(counts.invalidations for counts in world.run(ENERGY).values()) == 0
    world.check(ENERGY)


def test_a_device_whose_readings_cannot_be_read_keeps_its_own_invalidations_only(world: World) -> None:
    """A reading that another program wrote has no payload: the other devices are recomputed all the same."""
    for device in ("d0", "d1"):
        world.store(POWER, device, readings(3, T0, 60, MINUTE))
    world.now = T0 + timedelta(hours=14)
    world.run(POWER)
    world.store(POWER, "d0", readings(4, T0 + timedelta(seconds=5), 30, MINUTE))
    world.store(POWER, "d1", [(T0 + timedelta(hours=2), {"g": 1.0})])
    world.db.power_data.insert_one({"device_id": "d1", "timestamp": T0 + timedelta(minutes=20, seconds=7)})
    world.invalidate_late(POWER, "d1", [T0 + timedelta(minutes=20)])
    counts = world.run(POWER)["power/today_"]
    assert counts.failed == 2 and counts.invalidations > 0
    left = world.db.rollup_marks.distinct("device_id", {"prefix": "today_"})
    assert left == ["d1"]
    world.db.power_data.delete_one({"payload": {"$exists": False}})
    world.run(POWER)
    world.check(POWER)
