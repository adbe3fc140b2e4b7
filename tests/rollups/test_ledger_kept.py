"""The ledger is kept for ever: retention takes nothing from it, and an upgrade makes it of what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenpower.measure.slot import ESTIMATED
from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY, SlotColumns
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.watermarks import key, read_progress
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS, INVALIDATIONS, WATERMARKS
from greenpower.rollups.backfill import backfill
from tests.rollups.conftest import T0
from tests.rollups.test_run import MINUTE
from tests.rollups.world import ENERGY, POWER, World

DAY = timedelta(days=1)
READINGS = ("", "today_", "last_7_days_")


def rising(days: int) -> list[Any]:
    """A register that counts 0.5 in every quarter of an hour."""
    return [(T0 + n * MINUTE * 15, {"c": 100 + n / 2}) for n in range(days * 96)]


def totals(world: World) -> dict[Any, int]:
    """What the ledger has counted by day."""
    return {document["day"]: document["total"] for document in world.db[INTERVALS].find()}


@pytest.mark.parametrize("gone", ["readings", "buckets", "both"])
def test_what_expires_takes_nothing_from_the_ledger(world: World, gone: str) -> None:
    world.store(ENERGY, "d0", rising(4))
    world.now = T0 + timedelta(days=4, hours=2)
    world.run(ENERGY)
    before = totals(world)
    kept = list(world.db.this_year_energy_data.find({}, {"stats": 1}))
    assert sum(before.values()) == (4 * 96 - 1) * 500_000
    world.settings = world.settings.model_copy(update={"mongo_raw_ttl_seconds": 2 * 86_400})
    prefixes = {"readings": READINGS, "buckets": ("last_30_days_",), "both": (*READINGS, "last_30_days_")}[gone]
    for prefix in prefixes:
        world.db[prefix + ENERGY.collection].delete_many({"timestamp": {"$lt": T0 + 2 * DAY}})
        complete = {"$max": {"complete_from": T0 + 2 * DAY}}
        world.db[WATERMARKS].update_one({"_id": key("energy", prefix)}, complete)
    places = {Place.of("energy", "today_", "d0", T0 + n * timedelta(hours=1)) for n in range(0, 96, 5)}
    invalidate(world.db[INVALIDATIONS], places)
    world.now += timedelta(hours=1)
    world.run(ENERGY)
    assert totals(world) == before
    backfill(world.db, ENERGY, world.settings, clock=world.clock)
    assert totals(world) == before
    assert list(world.db.this_year_energy_data.find({}, {"stats": 1})) == kept


def test_readings_older_than_the_tier_are_in_the_ledger(world: World) -> None:
    """Readings are kept longer than buckets of half an hour: from the first run on, and where they come late."""
    samples = rising(40)
    late = samples.pop(100)
    world.store(ENERGY, "d0", samples)
    world.now = T0 + timedelta(days=40, hours=2)
    world.run(ENERGY)
    assert sum(totals(world).values()) == (40 * 96 - 1) * 500_000
    before = totals(world)
    world.store(ENERGY, "d0", [late])
    world.run(ENERGY)
    assert totals(world) == before
    document = world.db[INTERVALS].find_one({"day": T0 + DAY})
    assert document is not None and document["samples"] == 96
    assert world.db[INVALIDATIONS].count_documents({}) == 0


@pytest.mark.parametrize("left", ["readings", "half hours", "six hours"])
@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
def test_an_upgrade_makes_the_ledger_of_what_is_left(world: World, datatype: Any, left: str) -> None:
    world.store(datatype, "d0", rising(6))
    world.now = T0 + timedelta(days=6, hours=2)
    world.run(datatype)
    before = totals(world)
    for name in (INTERVALS, ENERGY_DAYS):
        world.db[name].delete_many({})
        world.db[WATERMARKS].delete_one({"_id": key(datatype.name, name)})
    whole = T0 + 2 * DAY
    old: Any = {"timestamp": {"$lt": whole}}
    gone = {"readings": (), "half hours": READINGS}.get(left, (*(tier.prefix for tier in datatype.tiers[:-1]), ""))
    for prefix in gone:
        world.db[prefix + datatype.collection].delete_many(old)
        world.db[WATERMARKS].update_one({"_id": key(datatype.name, prefix)}, {"$max": {"complete_from": whole}})
    world.run(datatype)
    assert sum(totals(world).values()) == sum(before.values())
    assert read_progress(world.db[WATERMARKS], datatype.name, INTERVALS).watermark == T0 + timedelta(days=6, hours=1.5)
    first = world.db[INTERVALS].find_one({"day": T0})
    assert first is not None
    flags = SlotColumns.unpack(first["slots"], SLOTS_PER_DAY).flags
    assert any(flag & ESTIMATED for flag in flags) == (left != "readings")
    months = world.db[ENERGY_DAYS].aggregate([{"$group": {"_id": None, "total": {"$sum": "$total"}}}])
    assert next(iter(months))["total"] == sum(totals(world).values()) - totals(world).get(T0 + 6 * DAY, 0)
