"""Demand of meters that are read less often than once an interval: no energy of an hour in a quarter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.demand import averaged_over, demands, intervals, peak

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("minutes", [15, 30])
@pytest.mark.parametrize("read_each", [15, 30, 60, 120, 360])
def test_a_steady_power_is_the_same_however_often_it_is_read(minutes: int, read_each: int) -> None:
    """10 kW over a day, from midnight on, where the energy of the time before is counted in the first interval."""
    cuts = intervals(T0 - 24 * HOUR, T0 + 24 * HOUR, minutes)
    amounts = [Amount() for _ in cuts[1:]]
    time = T0 - 24 * HOUR
    while time < T0 + 24 * HOUR:
        amount = amounts[(time - cuts[0]) // timedelta(minutes=minutes)]
        amount.counted = True
        amount.energy += 10 * UNIT * read_each // 60
        time += timedelta(minutes=read_each)
    found = list(demands(cuts, amounts, minutes, T0))
    assert found and found[0].begin == T0
    assert {item.power for item in found} == {Fraction(10)}
    assert all(item.averaged == (read_each > minutes) for item in found)
    highest = peak(found)
    assert highest is not None and highest.begin == T0


def test_a_silence_is_counted_by_its_seconds() -> None:
    assert averaged_over(0, 0, 15) == 900
    assert averaged_over(900, 0, 15) == 900
    assert averaged_over(0, 1, 15) == 1_800
    assert averaged_over(6_660, 6, 15) == 6_660
    assert averaged_over(6_660, 6, 30) == 6_660
