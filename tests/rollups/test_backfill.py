"""Backfill, changed kinds, undeclared fields, and the commands."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import Field, Kind
from greenpower.mongo.rollups import field_kinds
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.rollups.backfill import backfill
from tests.measure.rolled import states
from tests.process import environment
from tests.rollups.conftest import T0
from tests.rollups.test_run import MINUTE, readings
from tests.rollups.world import ENERGY, POWER, World


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
def test_a_backfill_repairs_what_was_tampered_with(world: World, datatype: object) -> None:
    assert datatype in (POWER, ENERGY)
    kind = POWER if datatype is POWER else ENERGY
    world.store(kind, "d0", readings(3, T0, 300, MINUTE * 2))
    world.now = T0 + timedelta(hours=14)
    world.run(kind)
    for name in kind.collections[1:]:
        world.db[name].delete_many({"timestamp": {"$lt": T0 + timedelta(hours=3)}})
        world.db[name].update_many({}, {"$set": {"payload": {}, "stats": {}, "blocks": []}})
    world.db[kind.collections[3]].insert_one({"device_id": "ghost", "timestamp": T0, "coverage": {"count": 1}})
    told = []
    backfill(
        world.db, kind, world.settings, clock=world.clock, report=lambda plan, *more: told.append((plan.name, more[1]))
    )
    world.check(kind)
    assert told


def test_a_backfill_of_a_span_leaves_the_rest(world: World) -> None:
    world.store(POWER, "d0", readings(3, T0, 300, MINUTE * 2))
    world.now = T0 + timedelta(hours=14)
    world.run(POWER)
    world.db.last_7_days_power_data.update_many({}, {"$set": {"payload": {}}})
    since, until = T0 + timedelta(hours=1), T0 + timedelta(hours=2)
    done = backfill(world.db, POWER, world.settings, prefix="last_7_days_", since=since, until=until, clock=world.clock)
    assert [name.split("/")[1] for name in done] == [tier.prefix for tier in POWER.tiers[1:]]
    repaired = world.db.last_7_days_power_data.distinct("timestamp", {"payload": {"$ne": {}}})
    assert repaired and all(since <= time < until for time in repaired)


def test_a_changed_kind_is_left_out_until_it_is_backfilled(world: World) -> None:
    world.store(POWER, "d0", readings(3, T0, 100, MINUTE * 2))
    world.now = T0 + timedelta(hours=5)
    world.run(POWER)
    changed = replace(
        POWER, fields=tuple(Field("g", unit="°", kind=Kind.ANGLE) if f.name == "g" else f for f in POWER.fields)
    )
    world.store(changed, "d0", readings(4, T0 + timedelta(hours=5), 100, MINUTE * 2))
    world.now = T0 + timedelta(hours=14)
    world.run(changed)
    fresh = list(world.db.today_power_data.find({"timestamp": {"$gte": T0 + timedelta(hours=5)}}))
    assert fresh and not any("g" in states(bucket) for bucket in fresh)
    state = world.db.rollup_watermarks.find_one({"_id": "power/today_"})
    assert state is not None and re.match(r"g\b.*\bgauge\b.*\bangle\b", state["error"])
    backfill(world.db, changed, world.settings, clock=world.clock)
    world.check(changed)
    world.run(changed)
    state = world.db.rollup_watermarks.find_one({"_id": "power/today_"})
    assert state is not None and state["error"] == ""


def test_undeclared_fields_are_accepted_as_far_as_there_is_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_kinds, "MAX_FIELDS_PER_DEVICE", 3)
    monkeypatch.setattr(field_kinds, "MAX_FIELDS_PER_TYPE", 4)
    names = [f"x{number}" for number in range(6)]
    world.store(POWER, "d0", [(T0, dict.fromkeys([*names, "Not A Name"], 1.0))])
    world.store(POWER, "d1", [(T0, dict.fromkeys(names[::-1], 1.0))])
    world.now = T0 + timedelta(hours=14)
    world.run(POWER)
    stats = {bucket["device_id"]: set(states(bucket)) for bucket in world.db.this_year_power_data.find()}
    assert stats["d0"] == {"x0", "x1", "x2"}
    assert stats["d1"] == {"x0", "x1", "x2"}
    found = world.db.rollup_fields.find_one({"_id": "power"})
    assert found is not None and found["open"] == ["x0", "x1", "x2", "x3"]
    assert set(found["noted"]) >= {"Not A Name"}


def test_the_commands(settings: Settings, world: World) -> None:
    solar = get_registry()["solar"]
    ensure_indexes(world.db, (solar,), settings)
    now = datetime.now(UTC).replace(microsecond=0)
    world.now = now
    samples = [(now - MINUTE * (300 - index), {"active_energy_delivered": index * 100}) for index in range(300)]
    world.store(solar, "GWCCCL0001", samples)

    def rollups(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "greenpower", "rollups", *args],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "never" in rollups("status")
    assert "solar/this_year_: " in rollups("run", "--type", "solar")
    world.now = datetime.now(UTC)
    world.check(solar)
    assert "solar/today_" in rollups("status")
    since = (now - timedelta(hours=3)).isoformat()
    assert "solar/last_7_days_: " in rollups("backfill", "--type", "solar", "--tier", "last_7_days_", "--since", since)
    world.check(solar)
