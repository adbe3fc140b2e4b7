"""The interval ledger made of readings that are older than what any tier keeps: what is open where a part of the work
ends goes on in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.energy.corrected import DAY, HOUR, consumption, counts
from tests.api.energy.meter import METER, RATE, Meters
from tests.measure.plain_counter import count
from tests.measure.plain_series import PlainMeter

DAYS = 40
PLAIN = PlainMeter(rate=RATE, floor=50, stale_after=METER.stale_after)
Change = Callable[[int, int], float]


def in_wh(hour: int, milli: int) -> float:
    """Ten days in Wh, and back in kWh after."""
    return milli / (1 if 5 * 24 <= hour < 15 * 24 else 1000)


def fallen(hour: int, milli: int) -> float:
    """Two registers for six days each, the lower one first at a level that is no restart."""
    return (milli - 60_000 if 5 * 24 + 7 <= hour < 11 * 24 else milli) / 1000


def zeros(hour: int, milli: int) -> float:
    """Nothing but zeros for four days."""
    return 0.0 if 9 * 24 - 3 <= hour < 13 * 24 else milli / 1000


def restarted(hour: int, milli: int) -> float:
    """A reset at an end of a day."""
    return (milli - 200_000 if hour >= 24 * 12 else milli) / 1000


def registers(begin: datetime, change: Change) -> Iterator[tuple[datetime, float]]:
    milli = 100_000
    for hour in range(DAYS * 24):
        milli += 200 + 37 * (hour % 7)
        yield begin + hour * HOUR, change(hour, milli)


@pytest.mark.parametrize("change", (in_wh, fallen, zeros, restarted))
@pytest.mark.parametrize(("age", "minutes"), ((100, 0), (500, 20)))
def test_old_readings_count_as_if_they_were_computed_at_once(
    meters: Meters, change: Change, age: int, minutes: int
) -> None:
    begin = datetime.now(UTC).replace(hour=0, minute=minutes, second=0, microsecond=0) - timedelta(days=age)
    samples = list(registers(begin, change))
    meters.store("M1", [(time, {"energy": register}) for time, register in samples])
    meters.run_rollups()
    start = begin.replace(minute=0)
    wanted = count(samples, PLAIN)
    found = counts(consumption(meters, start, start + DAYS * DAY, "day"))
    assert {day: value or 0 for day, value in found.items()} == {
        day: wanted.energy(day, day + DAY) or 0 for day in found
    }
