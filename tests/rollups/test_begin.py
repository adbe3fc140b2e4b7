"""Where a tier begins after the first readings, a counter goes on with what was open before: a fall, another unit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from greenpower.mongo.schema.layout import INVALIDATIONS
from tests.rollups.conftest import T0
from tests.rollups.world import ENERGY, POWER, World

HOUR = timedelta(hours=1)
# From a number of seconds to a register: it counts 6 kWh per hour, and something happens after five hours.
Register = Callable[[float], float]


def fallen(seconds: float) -> float:
    return 0.0 if seconds >= 18_000 else 1_000 + seconds / 600


def back_after_hours(seconds: float) -> float:
    return 0.0 if 18_000 <= seconds < 28_800 else 1_000 + seconds / 600


def in_wh(seconds: float) -> float:
    return 1_000 * (1_000 + seconds / 600) if seconds >= 18_000 else 1_000 + seconds / 600


@pytest.mark.parametrize("register", [fallen, back_after_hours, in_wh])
@pytest.mark.parametrize(("step", "begin"), [(300, 6.0), (20, 5.55), (60, 7.9), (3_600, 9.0)])
def test_a_tier_begins_with_what_was_open_before(world: World, register: Register, step: int, begin: float) -> None:
    """The finest tier keeps a day, and is computed for the first time `begin` hours and a day after the first reading,
    as after an import."""
    samples = [
        (T0 + timedelta(seconds=number * step), {"c": round(register(number * step), 6)})
        for number in range(12 * 3_600 // step)
    ]
    world.now = T0 + timedelta(days=1, hours=begin)
    for datatype in (POWER, ENERGY):
        world.store(datatype, "d0", samples)
    world.db[INVALIDATIONS].delete_many({})
    world.run(POWER, ENERGY)
    assert world.check(POWER) > 0
    assert world.check(ENERGY) > 0


@pytest.mark.parametrize("silence", [26, 24 * 9, 24 * 45])
def test_a_device_goes_on_with_what_was_open_after_a_silence_longer_than_a_tier(world: World, silence: int) -> None:
    first = [(T0 + timedelta(minutes=5 * number), {"c": fallen(300.0 * number)}) for number in range(100)]
    world.now = T0 + 10 * HOUR
    world.store(POWER, "d0", first)
    world.run(POWER)
    again = T0 + silence * HOUR
    later = [(again + timedelta(minutes=5 * number), {"c": 1_080.0 + number / 2}) for number in range(40)]
    for count in (1, 7, 40):
        world.now = later[count - 1][0] + timedelta(minutes=2)
        world.db.today_power_data.delete_many({"timestamp": {"$lt": world.now - timedelta(days=1)}})
        world.store(POWER, "d0", later[count - (1, 6, 33)[(1, 7, 40).index(count)] : count])
        world.run(POWER)
        world.run(POWER)
    assert world.check(POWER) > 0
