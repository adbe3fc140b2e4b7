"""What tiers, ledger and consumption make of imports is what they make of readings that devices sent.

Every bucket and quarter-hour is held against the plain recomputation (`tests.rollups.truth`).
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import INTERVALS, INVALIDATIONS
from tests.importing.files import as_csv, import_bytes
from tests.rollups.world import ENERGY, POWER, USAGE, World

QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
Samples = list[tuple[datetime, dict[str, Any]]]


@pytest.fixture
def world(db: Database[Document], settings: Settings) -> World:
    return World(db, settings, datetime.now(UTC).replace(microsecond=0))


def samples(begin: datetime, count: int, step: timedelta, seed: int) -> Samples:
    """A gauge, an angle, a counter that falls back once, one with a modulus."""
    rnd = random.Random(seed)
    found: Samples = []
    register = float(rnd.randrange(1_000))
    for number in range(count):
        register = 2.0 if number == count // 2 else register + rnd.randrange(8) / 8
        payload = {"g": rnd.randrange(-40, 40) / 4, "a": rnd.randrange(3_600) / 10, "c": register, "d": register}
        found.append((begin + number * step, payload))
    return found


def uses(begin: datetime, count: int, step: timedelta) -> Samples:
    return [(begin + n * step, {"used": n % 5 / 8, "mode": (0, 1, 7)[n % 3], "faults": n % 6}) for n in range(count)]


def as_file(device: str, some: Samples) -> bytes:
    rows = [{"device_id": device, "timestamp": time.isoformat(), **payload} for time, payload in some]
    return as_csv(rows, ["device_id", "timestamp", *some[0][1]])


def documents(world: World, datatype: DataType) -> dict[str, list[Document]]:
    """All of tiers and ledger, but for when it was written."""
    names = [tier.prefix + datatype.collection for tier in datatype.tiers] + [INTERVALS]
    unlike = dict.fromkeys(("_id", "as_of", "updated_at", "received_at", "clock", "topic"), 0)
    return {
        name: sorted(world.db[name].find({}, unlike), key=lambda one: (one["device_id"], str(one))) for name in names
    }


def total(world: World, field: str) -> int:
    """What the ledger has counted."""
    return sum(document["total"] for document in world.db[INTERVALS].find({"field": field}))


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
@pytest.mark.parametrize("batch_rows", [37])
def test_imports_in_any_order_equal_what_devices_sent(
    world: World, settings: Settings, datatype: DataType, batch_rows: int
) -> None:
    recent = samples(world.now - HOUR, 50, timedelta(minutes=1), 1)
    old = samples(world.now.replace(minute=0, second=0) - 2 * DAY, 2 * 96 - 20, QUARTER, 2)
    world.store(datatype, "d0", [*old, *recent])
    world.store(datatype, "d1", recent)
    world.run(datatype)
    world.run(datatype)
    world.check(datatype)
    wanted = documents(world, datatype)
    assert all(wanted.values())

    for name in world.db.list_collection_names():
        world.db[name].delete_many({})
    # Devices report, and the tiers are up to date. Then the history comes, shuffled, in two files.
    world.store(datatype, "d0", recent)
    world.store(datatype, "d1", recent)
    world.run(datatype)
    mixed = old[:]
    random.Random(batch_rows).shuffle(mixed)
    for part in (mixed[:100], mixed[80:]):
        assert import_bytes(settings, datatype, as_file("d0", part), batch_rows=batch_rows).is_clean
        world.run(datatype)
    world.run(datatype)
    world.check(datatype)
    assert not world.db[INVALIDATIONS].count_documents({"type": datatype.name})
    assert documents(world, datatype) == wanted


def test_years_are_in_the_ledger_though_no_tier_keeps_them(world: World, settings: Settings) -> None:
    begin = datetime(world.now.year - 3, 2, 27, tzinfo=UTC)
    world.store(POWER, "d0", [(world.now - HOUR, {"c": 10_000.0})])
    world.run(POWER)
    old: Samples = [(begin + n * 6 * HOUR, {"c": 100 + n / 2}) for n in range(40)]
    assert import_bytes(settings, POWER, as_file("d1", old)).stored == 40
    world.run(POWER)
    world.run(POWER)
    assert total(world, "c") == 39 * 500_000
    days = {document["day"] for document in world.db[INTERVALS].find({"device_id": "d1"})}
    assert min(days) == begin and max(days) == (begin + 39 * 6 * HOUR).replace(hour=0)


def test_an_interrupted_import_is_whole_after_the_next(world: World, settings: Settings) -> None:
    begin = world.now.replace(minute=0, second=0) - 2 * DAY
    data = as_file("d0", samples(begin, 96, QUARTER, 3))
    world.store(POWER, "d0", [(world.now - HOUR, {"g": 1.0})])
    world.run(POWER)
    import_bytes(settings, POWER, data, stop_after=2, batch_rows=25)
    world.db[INVALIDATIONS].delete_many({})  # killed between the readings and what follows them
    world.run(POWER)
    tally = import_bytes(settings, POWER, data)
    assert (tally.stored, tally.duplicate) == (46, 50)
    world.run(POWER)
    world.run(POWER)
    world.check(POWER)
    before = documents(world, POWER)
    assert import_bytes(settings, POWER, data).duplicate == 96
    world.run(POWER)
    world.check(POWER)
    assert documents(world, POWER) == before


def test_deltas_and_enumerations_count_once(world: World, settings: Settings) -> None:
    begin = world.now.replace(minute=0, second=0) - 2 * DAY
    some = uses(begin, 96, QUARTER)
    world.store(USAGE, "d0", [(world.now - HOUR, {"used": 0.5})])
    world.run(USAGE)
    for _ in range(2):
        assert import_bytes(settings, USAGE, as_file("d0", some)).is_clean
        world.run(USAGE)
    world.run(USAGE)
    world.check(USAGE)
    assert total(world, "used") == round(1_000_000 * (0.5 + sum(payload["used"] for _, payload in some)))
