"""What was left unfinished by a process that is gone is computed by the rollups; what is under way is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.rollups.unfinished import ABANDONED_AFTER, Unfinished, Work, read_unfinished, unfinished
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.rollups import take_over
from greenpower.rollups.backfill import backfill
from tests.rollups.conftest import T0
from tests.rollups.test_run import MINUTE, readings
from tests.rollups.world import ENERGY, POWER, World

Names = tuple[str, ...] | None


def leave(world: World, datatype: DataType, devices: Names, *, ago: timedelta) -> None:
    """A note of a year around the readings, renewed so long ago."""
    note = Unfinished.of(datatype.name, Work.DEMO, T0 - timedelta(days=200), T0 + timedelta(days=165), devices)
    world.db[INVALIDATIONS].insert_one({**note.document(), "updated_at": datetime.now(UTC) - ago})


def unnoticed(world: World, datatype: DataType, count: int = 300) -> None:
    """Readings in a time that the rollups have passed, of which they know nothing."""
    world.store(datatype, "d9", readings(5, T0 + timedelta(hours=13), 20, MINUTE))
    world.now = T0 + timedelta(hours=14)
    world.run(datatype)
    world.store(datatype, "d0", readings(3, T0, count, MINUTE * 2))
    world.store(datatype, "d1", readings(4, T0, count, MINUTE * 2))
    world.db[INVALIDATIONS].delete_many({"device_id": {"$exists": True}})


def has_buckets(world: World, datatype: DataType, device: str) -> bool:
    name = next(tier.prefix for tier in datatype.tiers if tier.window) + datatype.collection
    return world.db[name].count_documents({"device_id": device}) > 0


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
@pytest.mark.parametrize("devices", [("d0", "d1"), None], ids=["of some", "of all"])
def test_what_was_left_is_computed(
    world: World, datatype: DataType, devices: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnoticed(world, datatype)
    leave(world, datatype, devices, ago=ABANDONED_AFTER * 2)
    # In two runs: one does not do everything.
    monkeypatch.setattr(take_over, "MAX_PLACES_PER_RUN", 1)
    for _ in range(3):
        world.run(datatype)
    world.check(datatype)
    assert has_buckets(world, datatype, "d0") and has_buckets(world, datatype, "d1")
    assert not read_unfinished(world.db[INVALIDATIONS], datatype.name)


def test_what_is_under_way_is_left_alone(world: World) -> None:
    unnoticed(world, POWER)
    leave(world, POWER, None, ago=ABANDONED_AFTER / 2)
    world.run(POWER)
    assert not has_buckets(world, POWER, "d0")
    assert len(read_unfinished(world.db[INVALIDATIONS], POWER.name)) == 1


def test_a_note_of_some_devices_is_of_no_other(world: World) -> None:
    unnoticed(world, POWER)
    leave(world, POWER, ("d0",), ago=ABANDONED_AFTER * 2)
    for _ in range(2):
        world.run(POWER)
    assert has_buckets(world, POWER, "d0") and not has_buckets(world, POWER, "d1")


def test_a_backfill_says_what_it_has_still_to_compute(world: World, settings: Settings) -> None:
    unnoticed(world, POWER)
    seen = []

    def report(*_: object) -> None:
        seen.append([item.work for item in read_unfinished(world.db[INVALIDATIONS], POWER.name)])

    backfill(world.db, POWER, world.settings, clock=world.clock, report=report)
    world.check(POWER)
    assert seen and all(works == [Work.BACKFILL] for works in seen)
    assert not read_unfinished(world.db[INVALIDATIONS], POWER.name)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(world.db, POWER, world.settings, clock=world.clock, report=stop)
    [left] = read_unfinished(world.db[INVALIDATIONS], POWER.name)
    assert left.devices is None
    with unfinished(world.db[INVALIDATIONS], Unfinished.of(POWER.name, Work.DEMO, T0, T0 + MINUTE)) as renew:
        renew()
        assert len(read_unfinished(world.db[INVALIDATIONS], POWER.name)) == 2
