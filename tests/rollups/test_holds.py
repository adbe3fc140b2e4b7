"""Registers that do anything, in any order of arrival: buckets of all tiers and the ledger say the same in the end."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.datatype import DataType
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INCIDENTS, INTERVALS, INVALIDATIONS
from tests.measure.series import EVENTS, play, random_events
from tests.rollups.conftest import T0
from tests.rollups.world import ENERGY, POWER, World

MINUTE = timedelta(minutes=1)
# Other clocks and another meter are what ingest and the operator say.
BY_ITSELF = tuple(name for name in EVENTS if name not in ("burst", "swap"))

Sample = tuple[datetime, dict[str, Any]]


def samples(seed: int, count: int) -> list[Sample]:
    """A register's samples, with everything that happens to meters."""
    chance = random.Random(seed)
    series = play(random_events(chance, count, BY_ITSELF), T0)
    return [(time, {"c": value}) for time, value in series.samples]


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_in_any_order_of_arrival(world: World, datatype: DataType, seed: int) -> None:
    rng = random.Random(seed)
    left = [(f"d{number}", item) for number in range(2) for item in samples(10 * seed + number, 12)]
    left.sort(key=lambda pair: pair[1][0] + timedelta(minutes=rng.expovariate(1 / 90) if rng.random() < 0.3 else 0))
    world.now = T0
    while left:
        size = rng.randrange(10, 60)
        due, left = left[:size], left[size:]
        world.now = max([world.now, *(item[0] for _, item in due)]) + timedelta(seconds=rng.randrange(200))
        for device, item in due:
            world.store(datatype, device, [item])
        world.run(datatype)
    for _ in range(3):
        world.now += timedelta(hours=7)
        world.run(datatype)
    world.check(datatype)
    assert world.db[INVALIDATIONS].count_documents({}) == 0
    assert world.db[INTERVALS].count_documents({}) > 0


def zeros(minutes: int, after: float) -> list[Sample]:
    """A register that rises, shows zeros for a while, and goes on from where it was, or `after` above 0."""
    rising = [(T0 + n * MINUTE * 5, {"c": 500 + n / 10}) for n in range(24)]
    begin = rising[-1][0]
    shown = [(begin + n * MINUTE * 5, {"c": 0.0}) for n in range(1, minutes // 5)]
    again = [(shown[-1][0] + n * MINUTE * 5, {"c": after + n / 10}) for n in range(1, 30)]
    return [*rising, *shown, *again]


@pytest.mark.parametrize("datatype", [pytest.param(POWER, marks=pytest.mark.slow), ENERGY], ids=lambda item: item.name)
def test_a_fall_is_open_for_hours_and_ends_as_what_it_was(world: World, datatype: DataType) -> None:
    """Zeros for hours, as they come: first a fall that waits, then a dip with its end, or a reset."""
    for device, after in (("back", 502.5), ("reset", 0.0)):
        left = zeros(400, after)
        world.now = T0
        while left:
            world.now += timedelta(minutes=45)
            due = [item for item in left if item[0] <= world.now]
            left = left[len(due) :]
            world.store(datatype, device, due)
            world.run(datatype)
            falls = world.db[INCIDENTS].count_documents({"device_id": device, "incident": "fall", "current": True})
            assert falls <= 1
    world.now += timedelta(hours=13)
    world.run(datatype)
    world.check(datatype)
    found = {item["device_id"]: item for item in world.db[INCIDENTS].find({"current": True})}
    assert (found["back"]["incident"], found["reset"]["incident"]) == ("dip", "reset")
    assert {item["status"] for item in found.values()} == {"noted"}
    assert all(item["settled"] for item in found.values())
    assert found["back"]["until"] > found["back"]["at"] + timedelta(hours=6)


def test_a_late_sample_turns_a_decision_through_all_tiers_and_the_ledger(world: World) -> None:
    """Without the sample that came back it was a reset; with it a dip, hours before."""
    series = zeros(400, 0.0)
    back = (series[40][0] + MINUTE, {"c": 502.6})
    world.now = series[-1][0] + timedelta(hours=13)
    world.store(POWER, "d0", series)
    world.run(POWER)
    world.check(POWER)
    assert world.db[INCIDENTS].distinct("incident", {"current": True}) == ["reset"]
    world.store(POWER, "d0", [back])
    world.run(POWER)
    world.check(POWER)
    world.db[POWER.collection].delete_one({"timestamp": back[0]})
    world.invalidate_late(POWER, "d0", [back[0]])
    world.run(POWER)
    world.check(POWER)
    assert world.db[INCIDENTS].distinct("incident", {"current": True}) == ["reset"]


def test_a_decision_reaches_all_that_a_fall_held_back(world: World) -> None:
    """A register that begins again far from 0 is held for hours; the operator says that it is a new meter's."""
    rising = [(T0 + n * MINUTE * 5, {"c": 5_000 + n / 10}) for n in range(24)]
    held = [(rising[-1][0] + n * MINUTE * 5, {"c": 700.0}) for n in range(1, 60)]
    world.store(POWER, "d0", [*rising, *held])
    world.now = held[-1][0] + timedelta(hours=13)
    world.run(POWER)
    world.check(POWER)
    incident = world.db[INCIDENTS].find_one({"current": True})
    assert incident is not None and incident["incident"] == "fall" and incident["status"] == "open"
    bucket = world.db.today_power_data.find_one({"timestamp": held[-1][0]})
    assert bucket is not None and "c" in bucket["holds"]
    world.db[INCIDENTS].update_one({"_id": incident["_id"]}, {"$set": {"status": "confirmed"}})
    invalidate(world.db[INVALIDATIONS], [Place.of("power", "today_", "d0", incident["at"])])
    world.run(POWER)
    left = world.db.today_power_data.count_documents({"holds": {"$exists": True}})
    assert left == 0
    day = world.db[INTERVALS].find_one({"device_id": "d0"})
    assert day is not None and day["total"] == round((rising[-1][1]["c"] - rising[0][1]["c"] + 700) * 1e6)
