"""Each kind of rule about figures and signs of life, below, at and above its limit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.mongo.ids import new_id
from greenpower.mongo.schema.layout import INCIDENTS, LISTENING
from greenpower.sql import MeterPoint, ServiceZone, StoredTariffVersion, Tariff
from tests.alarms.world import T0, AlarmWorld
from tests.rollups.world import POWER


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def add_point(world: AlarmWorld, name: str, device: str, **values: Any) -> int:
    part = {"type": POWER.name, "device_id": device, "field": "c", "sign": 1, "begins_at": None, "ends_at": None}
    row = {"carrier": "electricity", "role": "grid_import", "parts": [part], **values}
    point = MeterPoint(name=f"{name} {new_id()}", **row)
    world.session.add(point)
    world.session.commit()
    return point.id


def count(world: AlarmWorld, device: str, kilowatts: float, begin: float, end: float, *, start: float = 0.0) -> float:
    """A counter that is read each five minutes. Returns where it ends."""
    values = []
    minute, register = begin, start
    while minute <= end:
        values.append((at(minute), register))
        minute, register = minute + 5, register + kilowatts / 12
    world.store(device, values, field="c")
    return register - kilowatts / 12


@pytest.mark.parametrize(("power", "raised"), [(11.9, False), (12.0, False), (12.6, True)])
@pytest.mark.parametrize("about", ["point", "device"])
def test_demand(world: AlarmWorld, power: float, raised: bool, about: str) -> None:
    """12 kW are one kWh each five minutes, so quarter-hours are exact."""
    if about == "point":
        world.add_rule("demand", {"above": 12.0}, points=[add_point(world, "p", "a")])
    else:
        world.add_device("a")
        world.add_rule("demand", {"above": 12.0, "field": "c"}, type=POWER.name, devices=["a"])
    register = count(world, "a", power, 0, 60)
    world.now = at(64)
    world.round()
    alarms = world.alarms()
    assert len(alarms) == raised
    if raised:
        assert alarms[0]["value"] > 12
        count(world, "a", 6.0, 65, 120, start=register + 0.5)
        world.now = at(124)
        world.round()
        world.round(60)
        assert world.steps() == [["raised", "cleared"]]


def test_demand_is_raised_as_soon_as_the_energy_is_enough(world: AlarmWorld) -> None:
    world.add_rule("demand", {"above": 12.0}, points=[add_point(world, "p", "a")])
    count(world, "a", 6.0, -30, 0)
    world.store("a", [(at(5), 7.0)], field="c")
    world.now = at(5.2)
    world.round()
    [alarm] = world.alarms()
    assert alarm["raised_at"] == at(5)


def listen(world: AlarmWorld, until: datetime) -> None:
    span = {"process": "p", "sources": ["mqtt"], "since": at(-600), "until": until}
    world.db[LISTENING].replace_one({"process": "p"}, span, upsert=True)


def test_silence(world: AlarmWorld) -> None:
    world.add_device("a")
    world.add_rule("silence", {"seconds": 300}, type=POWER.name)
    world.hear("a", at(0))
    for minutes, raised in ((4, False), (5, False), (5.2, True)):
        world.now = at(minutes)
        listen(world, world.now)
        world.round(0)
        assert bool(world.alarms()) is raised
        world.now += timedelta(seconds=10)
    assert world.alarms()[0]["raised_at"] == at(5)
    world.hear("a", at(7))
    world.now = at(7.5)
    listen(world, world.now)
    world.round(0)
    assert world.steps() == [["raised", "cleared"]]
    assert world.alarms()[0]["cleared_at"] == at(7)


def test_silence_does_not_count_while_nobody_listens(world: AlarmWorld) -> None:
    world.add_device("a")
    world.add_rule("silence", {"seconds": 300}, type=POWER.name)
    world.hear("a", at(0))
    listen(world, at(1))
    world.now = at(60)
    world.round()
    assert world.alarms() == []


def test_incidents(world: AlarmWorld) -> None:
    world.add_device("a")
    world.add_rule("incidents", {"count": 2}, type=POWER.name)
    for number in range(2):
        world.round(100)
        assert world.alarms() == []
        world.db[INCIDENTS].insert_one(
            {"type": POWER.name, "device_id": "a", "field": "c", "at": at(number), "swap": False, "status": "open",
             "current": True}
        )  # fmt: skip
    world.round(100)
    assert [alarm["value"] for alarm in world.alarms()] == [2.0]
    world.db[INCIDENTS].update_one({"at": at(0)}, {"$set": {"status": "confirmed"}})
    world.round(100)
    assert world.steps() == [["raised", "cleared"]]


@pytest.mark.parametrize(("below", "raised"), [(9.0, False), (10.0, False), (8.0, True), (12.0, True)])
def test_imbalance(world: AlarmWorld, below: float, raised: bool) -> None:
    """The points below have 90, 100, 80 and 120 percent of the parent; limits are 10 and -10 percent."""
    parent = add_point(world, "parent", "a")
    add_point(world, "child", "b", role="load", parent_id=parent)
    world.add_rule("imbalance", {"above": 10.001, "below": -10.0, "hours": 1}, points=[parent])
    count(world, "a", 12.0, -120, 125)
    count(world, "b", 1.2 * below, -120, 125)
    world.now = at(126)
    world.round()
    assert bool(world.alarms()) is raised


@pytest.mark.parametrize(("limit", "raised"), [(25.0, False), (24.0, False), (23.9, True)])
def test_a_budget_of_energy(world: AlarmWorld, limit: float, raised: bool) -> None:
    midnight = -720.0  # T0 is at noon
    count(world, "a", 12.0, midnight, midnight + 120)
    params = {"limit": limit, "period": "day"}
    world.settings = world.settings.model_copy(update={"device_timezone": "UTC"})
    world.add_rule("budget", params, points=[add_point(world, "p", "a")])
    world.now = at(0)
    world.round()
    assert bool(world.alarms()) is raised
    world.now = at(725)  # the next day
    count(world, "a", 12.0, 720, 725, start=24.0)
    world.round(70)
    assert world.steps() == ([["raised", "cleared"]] if raised else [])


def test_a_budget_of_money_and_of_a_zone(world: AlarmWorld) -> None:
    world.settings = world.settings.model_copy(update={"device_timezone": "UTC"})
    zone = ServiceZone(name=f"zone {new_id()}")
    rate = {"name": "all", "price": "0.5", "direction": "import", "days": [*range(8)], "months": [*range(1, 13)],
            "begin": "00:00", "end": "24:00"}  # fmt: skip
    tariff = Tariff(name=f"t {new_id()}", carrier="electricity", currency="EUR", timezone="UTC", is_default=False)
    world.session.add_all([zone, tariff])
    world.session.flush()
    content = {"rates": [rate], "standing": [], "demand": None, "holidays": []}
    version = StoredTariffVersion(tariff_id=tariff.id, valid_from=datetime(2026, 1, 1).date(), content=content)
    world.session.add(version)
    point = add_point(world, "p", "a", zone_id=zone.id, tariff_id=tariff.id)
    count(world, "a", 12.0, -720, -600)  # 24 kWh, 12 EUR
    money = {"limit": 12.0, "of": "money", "period": "day"}
    world.add_rule("budget", money, points=[point])
    over = world.add_rule("budget", {**money, "percent": 99}, points=[point])
    of_zone = world.add_rule("budget", {"limit": 23.0, "period": "day"}, zone_id=zone.id)
    world.now = at(0)
    world.round()
    assert sorted(alarm["rule_id"] for alarm in world.alarms()) == sorted([over, of_zone])
    [alarm] = world.alarms(rule_id=over)
    assert alarm["value"] == 12.0
    assert world.alarms(rule_id=of_zone)[0]["subject_zone_id"] == zone.id


@pytest.mark.parametrize(("below", "raised"), [(53.0, False), (53.12, False), (53.2, True)])
def test_availability(world: AlarmWorld, below: float, raised: bool) -> None:
    """Of 32 quarter-hours 17 have data: 53.125 percent, which are shown as 53.12."""
    world.add_rule("availability", {"below": below, "hours": 8, "hysteresis": 0}, points=[add_point(world, "p", "a")])
    count(world, "a", 12.0, -600, -240)
    count(world, "a", 12.0, 0, 5, start=100.0)
    world.now = at(1)
    world.round()
    alarms = world.alarms()
    assert bool(alarms) is raised, alarms
