"""A sample after a long silence decides samples from before it, wherever they lie in their windows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY, SlotColumns
from greenpower.mongo.schema.layout import INTERVALS
from tests.measure.plain_counter import count
from tests.measure.plain_series import PlainMeter, Sample
from tests.rollups.conftest import T0
from tests.rollups.world import ENERGY, RATE, World

MINUTE, HOUR, QUARTER = timedelta(minutes=1), timedelta(hours=1), timedelta(minutes=15)
DAY = timedelta(days=1)


@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
@pytest.mark.parametrize("after", [1, 2, 4])
@pytest.mark.parametrize(("fallen", "offset"), [(1, 0), (2, 20), (3, 0), (3, 5), (4, 15), (3, 20)])
def test_what_was_open_before_a_silence_is_decided_after_it(
    world: World, offset: int, fallen: int, after: int, late: bool
) -> None:
    """A register falls to 0, some samples later the meter is silent for days, and then goes on from near 0."""
    start = T0 + offset * MINUTE
    registers = [*(100 + number / 4 for number in range(20)), *(0.0,) * fallen]
    samples: list[Sample] = [(start + QUARTER * number, value) for number, value in enumerate(registers)]
    again = samples[-1][0] + 10 * DAY
    world.now = again if late else samples[-1][0] + MINUTE
    world.store(ENERGY, "d", [(time, {"c": value}) for time, value in samples])
    world.now = again - DAY
    world.run(ENERGY)
    for number in range(after):
        time, value = again + QUARTER * number, 6.0 + number
        world.now = time
        world.store(ENERGY, "d", [(time, {"c": value})])
        samples.append((time, value))
    world.now += 3 * HOUR
    for _ in range(2):
        world.run(ENERGY)
    wanted = count(samples, PlainMeter(rate=RATE, floor=50, stale_after=ENERGY.stale_after))
    found = {}
    for document in world.db[INTERVALS].find({"field": "c"}):
        columns = SlotColumns.unpack(document["slots"], SLOTS_PER_DAY)
        for slot, (energy, n) in enumerate(zip(columns.energy, columns.n, strict=True)):
            if n:
                found[document["day"] + slot * QUARTER] = (energy, n)
    assert found == {
        at: (wanted.energy(at, at + QUARTER), wanted.samples(at, at + QUARTER))
        for at in {step.at - (step.at - T0) % QUARTER for step in wanted.steps}
    }
