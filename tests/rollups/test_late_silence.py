"""Late samples and silences: whether a pause is one depends on the gaps before it, which late samples change."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY, SlotColumns
from greenpower.mongo.schema.layout import INTERVALS
from tests.measure.plain_counter import count
from tests.measure.plain_series import PlainMeter, Sample
from tests.rollups.conftest import T0
from tests.rollups.world import ENERGY, RATE, World

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def silences(world: World) -> dict[datetime, int]:
    """Seconds of silence by quarter-hour, as the ledger has them."""
    found: dict[datetime, int] = {}
    for document in world.db[INTERVALS].find({"field": "c"}):
        columns = SlotColumns.unpack(document["slots"], SLOTS_PER_DAY)
        found |= {document["day"] + slot * QUARTER: seconds for slot, seconds in enumerate(columns.silence) if seconds}
    return found


@pytest.mark.parametrize("missing", [(1,), (2, 4, 5, 7), (0, 3, 6, 9), tuple(range(1, 12))])
def test_a_late_sample_has_the_silences_after_it_judged_again(world: World, missing: tuple[int, ...]) -> None:
    """Twelve samples every two hours, then a pause of three: whether that is a silence is told by the gaps before."""
    every = 2 * HOUR
    times = [T0 + every * number for number in range(12)]
    times += [times[-1] + every * 1.9, times[-1] + every * 4.5, times[-1] + every * 5.5]
    samples: list[Sample] = [(time, 100 + number / 4) for number, time in enumerate(times)]
    samples += [(T0 + every * number + QUARTER, 100.01 + number / 4) for number in range(12)]
    samples.sort()
    late = [samples[2 * number + 1] for number in missing]
    world.now = T0 + 48 * HOUR
    world.store(ENERGY, "d", [(time, {"c": value}) for time, value in samples if (time, value) not in late])
    world.run(ENERGY)
    world.store(ENERGY, "d", [(time, {"c": value}) for time, value in late])
    for _ in range(3):
        world.run(ENERGY)
    meter = PlainMeter(rate=RATE, floor=50, stale_after=ENERGY.stale_after)
    wanted = {step.at: step.silence for step in count(samples, meter).steps if step.silence}
    assert silences(world) == {at - (at - T0) % QUARTER: seconds for at, seconds in wanted.items()}
