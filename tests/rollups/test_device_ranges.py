"""Device ranges of a tier that are computed apart: by two workers, after a kill, a failure, an upgrade."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_read import read_stretches
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges, range_of
from greenpower.mongo.rollups.tier_documents import write_documents
from greenpower.mongo.rollups.watermarks import move_watermark, read_progress
from greenpower.mongo.schema.layout import ATTEMPTS, ENERGY_DAYS, INTERVALS, INVALIDATIONS, WATERMARKS
from greenpower.rollups import ledger
from greenpower.rollups import run as runs
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from greenpower.rollups.tier_run import TierRun
from tests.rollups.conftest import T0
from tests.rollups.test_apart import break_device, repair
from tests.rollups.test_run import MINUTE, readings
from tests.rollups.world import ENERGY, POWER, World

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BOTH = pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
HALVES: tuple[Ranges, Ranges] = (frozenset(range(8)), frozenset(range(8, 16)))
# Of ranges 0, 8, 14, 15, 10 and 2.
DEVICES = tuple(f"d{number}" for number in range(6))
LOW = tuple(device for device in DEVICES if range_of(device) in HALVES[0])
HIGH = tuple(device for device in DEVICES if range_of(device) in HALVES[1])


def store_all(world: World, datatype: DataType, count: int, step: timedelta = 5 * MINUTE) -> None:
    for number, device in enumerate(DEVICES):
        world.store(datatype, device, readings(number, T0, count, step))


def run_ranges(world: World, datatype: DataType, *groups: Ranges) -> None:
    """A run of every tier, of each group after the other."""
    for plan in make_plans(datatype, world.settings):
        for group in groups:
            run_tier(world.db, plan, world.settings, clock=world.clock, ranges=group)


def computed(world: World, datatype: DataType) -> dict[str, list[Document]]:
    """All that runs have written, without the times of the writing."""
    unlike = {"_id": 0, "as_of": 0, "updated_at": 0}
    found = {}
    for name in (*datatype.collections[1:], INTERVALS, ENERGY_DAYS):
        order = [("device_id", 1), ("field", 1), ("timestamp", 1), ("day", 1), ("month", 1)]
        found[name] = list(world.db[name].find({}, unlike).sort(order))
    return found


def forget(world: World, datatype: DataType) -> None:
    """As if nothing had ever been computed."""
    for name in (*datatype.collections[1:], INTERVALS, ENERGY_DAYS, WATERMARKS, ATTEMPTS, "counter_incidents"):
        world.db[name].delete_many({})


def watermark(world: World, datatype: DataType, prefix: str, ranges: Ranges = ALL_RANGES) -> datetime | None:
    return read_progress(world.db[WATERMARKS], datatype.name, prefix).reached(ranges)


@BOTH
def test_two_workers_at_once_give_what_one_gives(world: World, datatype: DataType) -> None:
    """Bit for bit, run after run, each with a half of the ranges."""
    store_all(world, datatype, 30)
    times = [T0 + HOUR, T0 + 2 * HOUR, T0 + 25 * HOUR]
    for world.now in times:
        world.run(datatype)
    whole = computed(world, datatype)
    forget(world, datatype)
    for world.now in times:
        for plan in make_plans(datatype, world.settings):
            with ThreadPoolExecutor(2) as pool:

                def work(group: Ranges, plan: Any = plan) -> None:
                    run_tier(world.db, plan, world.settings, clock=world.clock, ranges=group)

                list(pool.map(work, HALVES))
    assert computed(world, datatype) == whole
    assert world.check(datatype) > 0
    assert world.db[ATTEMPTS].count_documents({}) == 0


def test_one_range_after_the_other_gives_the_same(world: World) -> None:
    """Most of them are empty and come along."""
    datatype = POWER
    store_all(world, datatype, 12)
    world.now = T0 + 13 * HOUR
    world.run(datatype)
    whole = computed(world, datatype)
    ends = {
        plan.tier.prefix: watermark(world, datatype, plan.tier.prefix) for plan in make_plans(datatype, world.settings)
    }
    forget(world, datatype)
    run_ranges(world, datatype, *(frozenset((number,)) for number in range(16)))
    assert computed(world, datatype) == whole
    for prefix, end in ends.items():
        assert read_progress(world.db[WATERMARKS], datatype.name, prefix).watermark == end
    # From here on all go together again.
    world.now += HOUR
    world.run(datatype)
    assert all("ranges" not in state for state in world.db[WATERMARKS].find({"prefix": {"$in": list(ends)}}))
    assert world.check(datatype) > 0


def test_a_worker_that_is_killed_leaves_its_ranges_to_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    datatype = POWER
    store_all(world, datatype, 20)
    world.now = T0 + 5 * HOUR
    store = write_documents

    def killed(*given: Any, **named: Any) -> int:
        store(*given, **named)
        raise KeyboardInterrupt

    for plan in make_plans(datatype, world.settings):
        run_tier(world.db, plan, world.settings, clock=world.clock, ranges=HALVES[0])
        monkeypatch.setattr("greenpower.rollups.compute.write_documents", killed)
        with pytest.raises(KeyboardInterrupt):
            run_tier(world.db, plan, world.settings, clock=world.clock, ranges=HALVES[1])
        monkeypatch.undo()
        if plan.from_buckets:
            continue
        assert watermark(world, datatype, plan.tier.prefix, HALVES[0]) is not None
        assert watermark(world, datatype, plan.tier.prefix, HALVES[1]) is None
        break
    for _ in range(2):
        run_ranges(world, datatype, *HALVES)
    assert world.check(datatype) > 0
    world.now += HOUR
    world.run(datatype)
    assert world.check(datatype) > 0
    assert world.db[INVALIDATIONS].count_documents({}) == 0


def test_a_range_that_cannot_be_computed_holds_back_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: here MongoDB refuses what is written of it."""
    datatype = POWER
    stuck = frozenset((range_of("d4"),))
    store_all(world, datatype, 20)
    store = write_documents

    def refusing(collection: Any, documents: Any, **named: Any) -> int:
        if any(document["device_id"] == "d4" for document in documents):
            raise OperationFailure("refused")
        return store(collection, documents, **named)

    monkeypatch.setattr("greenpower.rollups.compute.write_documents", refusing)
    for world.now in (T0 + 5 * HOUR, T0 + 6 * HOUR):
        for plan in make_plans(datatype, world.settings):
            try:
                run_tier(world.db, plan, world.settings, clock=world.clock)
            except OperationFailure:
                progress = read_progress(world.db[WATERMARKS], datatype.name, plan.tier.prefix)
                assert progress.error == "device ranges a: OperationFailure: refused"
                assert (progress.watermark or T0) < T0 + HOUR
                assert [number for number in ALL_RANGES if progress.apart(number).error] == [*stuck]
    others = [device for device in DEVICES if device != "d4"]
    first = next(plan for plan in make_plans(datatype, world.settings) if plan.window is not None)
    reached = watermark(world, datatype, first.tier.prefix, ALL_RANGES - stuck)
    assert reached is not None and reached > T0 + 5 * HOUR
    assert world.check(datatype, devices=others) > 0
    for plan in make_plans(datatype, world.settings):
        assert {row["device_id"] for row in world.db[plan.collection].find()} >= set(others)
    monkeypatch.undo()
    for _ in range(2):
        world.run(datatype)
        world.now += HOUR
    world.run(datatype)
    assert world.check(datatype) > 0
    assert all(not state.get("error") for state in world.db[WATERMARKS].find())
    assert all("ranges" not in state for state in world.db[WATERMARKS].find({"prefix": first.tier.prefix}))


def test_a_database_that_is_away_is_no_reason_to_take_ranges_apart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_all(world, POWER, 10)
    tried = []

    def away(run: TierRun, *given: Any) -> None:
        tried.append(run.ranges)
        raise AutoReconnect("away")

    monkeypatch.setattr(runs, "roll_forward", away)
    with pytest.raises(AutoReconnect):
        run_tier(world.db, make_plans(POWER, world.settings)[0], world.settings, clock=world.clock)
    assert tried == [ALL_RANGES]


def test_nothing_is_lost_by_an_upgrade_and_a_downgrade(world: World) -> None:
    """The last release leaves one watermark for all ranges; where it finds ranges apart, it moves that only."""
    datatype = ENERGY
    ahead = {device: readings(number, T0, 60, 5 * MINUTE) for number, device in enumerate(DEVICES)}

    def store_until(now: datetime) -> None:
        world.now = now
        for device, left in ahead.items():
            due = [item for item in left if item[0] <= now]
            world.store(datatype, device, due)
            ahead[device] = left[len(due) :]

    store_until(T0 + 2 * HOUR)
    world.run(datatype)
    assert all("ranges" not in state for state in world.db[WATERMARKS].find())
    store_until(T0 + 3 * HOUR)
    run_ranges(world, datatype, *HALVES)
    # One half is ahead when the release before comes back.
    store_until(T0 + 4 * HOUR)
    run_ranges(world, datatype, HALVES[0])
    store_until(T0 + 5 * HOUR)
    before = {state["_id"]: dict(state.get("ranges", {})) for state in world.db[WATERMARKS].find()}
    assert any(before.values())
    world.db[WATERMARKS].update_many({}, {"$unset": {"ranges": ""}})
    world.run(datatype)
    # And once more an upgrade: the entries that it did not know are there still.
    for name, ranges in before.items():
        if ranges:
            world.db[WATERMARKS].update_one({"_id": name}, {"$set": {"ranges": ranges}})
    store_until(T0 + 14 * HOUR)
    run_ranges(world, datatype, *HALVES)
    assert world.check(datatype) > 0
    assert world.db[INVALIDATIONS].count_documents({}) == 0


def test_a_late_reading_is_for_the_run_of_its_range(world: World) -> None:
    datatype = POWER
    store_all(world, datatype, 40)
    world.now = T0 + 7 * HOUR
    run_ranges(world, datatype, *HALVES)
    for device in (LOW[0], HIGH[0]):
        world.store(datatype, device, [(T0 + timedelta(minutes=44, seconds=30, milliseconds=1), {"c": 0.5, "g": 3.0})])
    run_ranges(world, datatype, HALVES[0])
    assert set(world.db[INVALIDATIONS].distinct("device_id")) == {HIGH[0]}
    assert world.check(datatype, devices=LOW) > 0
    run_ranges(world, datatype, HALVES[1])
    assert world.db[INVALIDATIONS].count_documents({}) == 0
    assert world.check(datatype) > 0


def test_what_is_invalid_of_a_device_without_anything_is_done_in_its_range(world: World) -> None:
    """Its readings are gone, and with them its buckets."""
    store_all(world, POWER, 20)
    world.now = T0 + 7 * HOUR
    run_ranges(world, POWER, *HALVES)
    world.db.power_data.delete_many({"device_id": HIGH[0]})
    world.invalidate_late(POWER, HIGH[0], [T0, T0 + HOUR])
    run_ranges(world, POWER, *HALVES)
    assert world.db[INVALIDATIONS].count_documents({}) == 0
    assert world.check(POWER) > 0


@pytest.mark.parametrize(("datatype", "first"), [(POWER, HALVES[0]), (ENERGY, HALVES[1])], ids=["power", "energy"])
def test_days_of_the_ledger_are_closed_when_all_ranges_are_over_them(
    world: World, datatype: DataType, first: Ranges
) -> None:
    second = ALL_RANGES - first
    minutes = [(T0 + timedelta(minutes=n), {"c": float(n)}) for n in range(0, 3 * 1440, 60)]
    for device in DEVICES[:3]:
        world.store(datatype, device, minutes)
    world.now = T0 + DAY + 2 * HOUR
    for _ in range(3):
        run_ranges(world, datatype, first)
        assert read_progress(world.db[WATERMARKS], datatype.name, INTERVALS).watermark is None
        assert world.db[ENERGY_DAYS].count_documents({}) == 0
        world.now += DAY
    run_ranges(world, datatype, second)
    closed = read_progress(world.db[WATERMARKS], datatype.name, INTERVALS).watermark
    assert closed is not None and closed >= T0 + 2 * DAY
    stretches = read_stretches(world.db, datatype.name, "c", DEVICES, [T0, T0 + DAY, T0 + 2 * DAY])
    assert set(stretches) == set(DEVICES[:3])
    for device in DEVICES[:3]:
        # The step over midnight belongs to the day after.
        assert [stretch.energy for stretch in stretches[device]] == [1_380_000_000, 1_440_000_000]
    assert world.check(datatype) > 0


def test_a_day_is_closed_though_the_run_that_was_to_was_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = [(T0 + timedelta(minutes=n), {"c": float(n)}) for n in range(0, 1500, 60)]
    for device in DEVICES[:3]:
        world.store(ENERGY, device, minutes)
    world.now = T0 + DAY + 2 * HOUR

    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    run_ranges(world, ENERGY, HALVES[0])
    monkeypatch.setattr(ledger, "close_days", killed)
    with pytest.raises(KeyboardInterrupt):
        run_ranges(world, ENERGY, HALVES[1])
    monkeypatch.undo()
    assert read_progress(world.db[WATERMARKS], "energy", INTERVALS).watermark is None
    world.run(ENERGY)
    assert read_progress(world.db[WATERMARKS], "energy", INTERVALS).watermark == T0 + DAY + timedelta(hours=1.5)
    stretches = read_stretches(world.db, "energy", "c", DEVICES, [T0, T0 + DAY])
    assert {device: [part.energy for part in parts] for device, parts in stretches.items()} == {
        device: [1_380_000_000] for device in DEVICES[:3]
    }
    assert world.check(ENERGY) > 0


def test_a_device_that_fails_in_a_group_of_ranges_costs_only_itself(world: World) -> None:
    store_all(world, POWER, 20)
    break_device(world, POWER, LOW[0], after=timedelta(minutes=47, seconds=1))
    world.now = T0 + 6 * HOUR
    run_ranges(world, POWER, *HALVES)
    progress = read_progress(world.db[WATERMARKS], "power", "today_")
    assert progress.watermark is not None and progress.watermark > T0 + 5 * HOUR
    assert LOW[0] in progress.error
    assert world.check(POWER, devices=[device for device in DEVICES if device != LOW[0]]) > 0
    repair(world, POWER)
    run_ranges(world, POWER, *HALVES)
    assert world.check(POWER) > 0
    assert read_progress(world.db[WATERMARKS], "power", "today_").error == ""


def test_a_new_device_is_found_by_the_run_of_its_range(world: World) -> None:
    """Also where its range was empty until then."""
    world.store(POWER, LOW[0], readings(1, T0, 60, MINUTE))
    world.now = T0 + HOUR
    run_ranges(world, POWER, *HALVES)
    world.store(POWER, HIGH[0], readings(2, world.now - MINUTE / 2, 50, MINUTE))
    world.now = T0 + 2 * HOUR
    run_ranges(world, POWER, *HALVES)
    assert world.check(POWER) > 0
    assert HIGH[0] in world.db.today_power_data.distinct("device_id")


def test_a_whole_run_takes_ranges_up_that_are_not_equally_far(world: World) -> None:
    store_all(world, POWER, 20)
    world.now = T0 + 3 * HOUR
    run_ranges(world, POWER, HALVES[0])
    move_watermark(world.db[WATERMARKS], "power", "today_", T0 + MINUTE, HALVES[1])
    world.db.today_power_data.delete_many({"device_id": {"$in": HIGH}})
    world.db[WATERMARKS].update_one(
        {"_id": "power/today_"}, {"$unset": {f"ranges.{number:x}.watermark": "" for number in HALVES[1]}}
    )
    world.run(POWER)
    assert world.check(POWER) > 0
