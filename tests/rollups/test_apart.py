"""A device whose readings cannot be computed holds back nobody else, and is made up for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenpower.datatype import DataType
from greenpower.mongo.rollups.watermarks import read_progress
from greenpower.mongo.schema.layout import INTERVALS, INVALIDATIONS, WATERMARKS
from greenpower.rollups.plan import find_plan
from greenpower.rollups.run import run_tier
from tests.rollups.conftest import T0
from tests.rollups.test_run import MINUTE, readings
from tests.rollups.world import ENERGY, POWER, World

FIRST_WINDOWS = {"power": "today_", "energy": "last_30_days_"}
DEVICES = tuple(f"d{number}" for number in range(4))
NO_PAYLOAD = {"payload": {"$exists": False}}


def break_device(world: World, datatype: DataType, device: str, *, after: timedelta) -> None:
    """A reading that another program wrote has no payload."""
    world.db[datatype.collection].insert_one({"device_id": device, "timestamp": T0 + after, "updated_at": world.now})


def repair(world: World, datatype: DataType) -> None:
    for prefix in ("", *(tier.prefix for tier in datatype.tiers if tier.window is None)):
        world.db[prefix + datatype.collection].delete_many(NO_PAYLOAD)


@pytest.mark.parametrize(("datatype", "broken"), [(POWER, ("d1", "d3")), (ENERGY, ("d0",))], ids=["power", "energy"])
def test_the_others_are_rolled_forward_and_the_device_comes_after(
    world: World, datatype: DataType, broken: tuple[str, ...]
) -> None:
    for number, device in enumerate(DEVICES):
        world.store(datatype, device, readings(number, T0, 100, MINUTE))
    for device in broken:
        break_device(world, datatype, device, after=timedelta(minutes=47, seconds=1))
    world.now = T0 + timedelta(hours=6)
    prefix = FIRST_WINDOWS[datatype.name]
    counts = world.run(datatype)[f"{datatype.name}/{prefix}"]
    progress = read_progress(world.db[WATERMARKS], datatype.name, prefix)
    assert progress.watermark is not None and progress.watermark > T0 + timedelta(hours=5)
    assert counts.failed > 0 and tuple(counts.failing) == broken
    assert all(device in progress.error for device in broken)
    assert set(world.db[INVALIDATIONS].distinct("device_id", {"prefix": prefix})) == set(broken)
    others = [device for device in DEVICES if device not in broken]
    assert world.check(datatype, devices=others) > 0
    repair(world, datatype)
    world.run(datatype)
    assert world.db[INVALIDATIONS].count_documents({}) == 0
    assert world.check(datatype) > 0
    assert set(world.db[INTERVALS].distinct("device_id")) == set(DEVICES)


def test_a_device_that_breaks_while_it_is_live_costs_only_itself(world: World) -> None:
    """Minute by minute: before, with and after the reading that cannot be computed."""
    ahead = {device: readings(number, T0, 60, MINUTE) for number, device in enumerate(DEVICES[:3])}
    world.now = T0
    for minute in range(0, 80, 13):
        world.now = T0 + minute * MINUTE
        if minute == 39:
            break_device(world, POWER, "d1", after=timedelta(minutes=33, seconds=2))
        for device, left in ahead.items():
            due = [item for item in left if item[0] <= world.now]
            world.store(POWER, device, due)
            ahead[device] = left[len(due) :]
        world.run(POWER)
        assert world.check(POWER, devices=["d0", "d2"]) > 0 or minute == 0
    repair(world, POWER)
    world.now += timedelta(hours=7)
    world.run(POWER)
    assert world.check(POWER) > 0


def test_what_all_devices_fail_with_stops_the_tier(world: World) -> None:
    """No device's fault: nothing is passed over, and nothing more is invalidated."""
    for number, device in enumerate(DEVICES):
        world.store(POWER, device, readings(number, T0, 60, MINUTE))
        break_device(world, POWER, device, after=timedelta(minutes=5, seconds=1))
    world.now = T0 + timedelta(hours=3)
    before = list(world.db[INVALIDATIONS].find())
    plan = find_plan(POWER, "today_", world.settings)
    assert plan is not None
    with pytest.raises(KeyError):
        run_tier(world.db, plan, world.settings, clock=world.clock)
    assert read_progress(world.db[WATERMARKS], "power", "today_").watermark is None
    assert list(world.db[INVALIDATIONS].find()) == before
    repair(world, POWER)
    world.run(POWER)
    assert world.check(POWER) > 0


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=["power", "energy"])
def test_the_ledger_of_what_is_older_than_a_tier_is_written_without_the_device(
    world: World, datatype: DataType
) -> None:
    """Readings of long ago, from which the ledger catches up before the tier begins."""
    for number, device in enumerate(DEVICES):
        world.store(datatype, device, readings(number, T0, 100, 30 * MINUTE))
    break_device(world, datatype, "d1", after=timedelta(hours=7, seconds=1))
    world.now = T0 + timedelta(days=40)
    world.store(datatype, "d2", readings(2, world.now - timedelta(hours=30), 50, 30 * MINUTE))
    prefix = FIRST_WINDOWS[datatype.name]
    for _ in range(2):
        world.run(datatype)
    progress = read_progress(world.db[WATERMARKS], datatype.name, prefix)
    assert progress.watermark is not None and progress.watermark > world.now - timedelta(hours=1)
    assert world.check(datatype, devices=["d0", "d2", "d3"]) > 0
    assert "d1" in world.db[INVALIDATIONS].distinct("device_id")
    repair(world, datatype)
    for _ in range(3):
        world.run(datatype)
    assert world.db[INVALIDATIONS].count_documents({}) == 0
    assert world.check(datatype) > 0
