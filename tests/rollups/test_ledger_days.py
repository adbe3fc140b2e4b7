"""Days of the interval ledger: each is closed in time, also where all meters of a type are silent over midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenpower.datatype import DataType
from greenpower.mongo.energy.ledger_read import read_stretches
from greenpower.mongo.rollups.watermarks import read_progress
from greenpower.mongo.schema.layout import INTERVALS, WATERMARKS
from tests.rollups.world import ENERGY, POWER, World

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
D0 = datetime(2026, 11, 20, tzinfo=UTC)


def counted(world: World, datatype: DataType, begin: datetime, end: datetime) -> int | None:
    """Counts of the two times, by whole days where they are."""
    found = read_stretches(world.db, datatype.name, "c", ["M1"], [begin, end])
    return found["M1"][0].energy if "M1" in found else None


def run_until(world: World, datatype: DataType, now: datetime, step: timedelta) -> None:
    while world.now < now:
        world.now = min(now, world.now + step)
        world.run(datatype)


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda datatype: datatype.name)
@pytest.mark.parametrize("step", [5 * HOUR, 3 * DAY], ids=["runs go on", "nothing ran"])
def test_a_day_is_whole_after_an_outage_over_midnight(world: World, datatype: DataType, step: timedelta) -> None:
    world.now = D0 + 6 * HOUR
    minutes = [(D0 + timedelta(minutes=n), {"c": float(n)}) for n in range(0, 22 * 60, 5)]
    world.store(datatype, "M1", [row for row in minutes if row[0] < world.now])
    world.run(datatype)
    world.now = D0 + 22 * HOUR
    world.store(datatype, "M1", [row for row in minutes if row[0] >= D0 + 6 * HOUR])
    world.run(datatype)
    run_until(world, datatype, D0 + 3 * DAY + 10 * HOUR, step)
    assert read_progress(world.db[WATERMARKS], datatype.name, INTERVALS).watermark >= D0 + 3 * DAY  # type: ignore[operator]
    whole = 1_000_000 * (22 * 60 - 5)
    assert counted(world, datatype, D0, D0 + DAY) == whole
    assert counted(world, datatype, D0, D0 + 3 * DAY) == whole
    # They go on days later: what they counted meanwhile is in the quarter-hour of the first sample.
    later = world.now - timedelta(minutes=30)
    world.store(datatype, "M1", [(later + timedelta(minutes=n), {"c": 2_000.0 + n}) for n in range(0, 30, 5)])
    run_until(world, datatype, world.now + 40 * HOUR, step)
    assert counted(world, datatype, D0, D0 + DAY) == whole
    assert counted(world, datatype, D0 + DAY, D0 + 3 * DAY) in (None, 0)
    assert counted(world, datatype, D0 + 3 * DAY, D0 + 4 * DAY) == 1_000_000 * 2_025 - whole
