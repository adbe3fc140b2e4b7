"""Net registers: what counts, what is left out, what an operator decides; totals by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from greenpower.measure.counter.rules import Incident
from greenpower.measure.roll import Rolled
from tests.measure.plain_series import Number, PlainMeter, PlainSwap
from tests.measure.rolled import FIELD, T0, rolled
from tests.measure.series import Series

NET = PlainMeter(kind="net", floor=50, rate=100_000, stale_after=1_020)
COUNTER = PlainMeter(floor=50, rate=100_000, stale_after=1_020)
QUARTER = timedelta(minutes=15)
CASE = (100.0, 99.9, 99.8, 99.7, 99.6, 99.5, 99.4, 99.3)


def of(values: Sequence[Number], meter: PlainMeter = NET, every: timedelta = QUARTER, **more: object) -> Rolled:
    series = Series(samples=[(T0 + every * index, value) for index, value in enumerate(values)])
    series.swaps = list(meter.swaps)
    return rolled(series, meter, length=3_600, carries={FIELD: None})


def counts(result: Rolled) -> int:
    return sum(slot.energy for slot in result.slots[FIELD])


def told(result: Rolled) -> list[tuple[Incident, bool]]:
    return [(event.incident, event.open) for event in sorted(result.incidents, key=lambda event: event.at)]


@pytest.mark.parametrize("factor", [1, 7, -1, 0.3])
@pytest.mark.parametrize("every", [QUARTER, timedelta(seconds=60), timedelta(hours=1)])
@pytest.mark.parametrize("offset", [0, 5_000, -99.65])
def test_a_register_that_falls_counts_what_it_falls(factor: float, every: timedelta, offset: float) -> None:
    result = of([value * factor + offset for value in CASE], every=every)
    assert counts(result) == round((CASE[-1] * factor + offset) * 1e6) - round((CASE[0] * factor + offset) * 1e6)
    assert abs(counts(result) + 700_000 * factor) <= 1 and not result.incidents and not result.short


def test_as_a_counter_it_counts_nothing_and_asks() -> None:
    result = of(CASE, COUNTER)
    assert counts(result) == 0 and told(result) == [(Incident.SMALL_FALL, True)]


#: name, registers a quarter of an hour apart, what they count, incidents and whether they are open.
TOTALS: list[tuple[str, list[Number], float, list[tuple[Incident, bool]]]] = [
    ("through zero", [0.3, 0.1, -0.1, -0.4, -0.2], -0.5, []),
    ("one high", [10.0, 10.1, 9_999, 10.2, 10.3, 10.1], 0.1, [(Incident.SPIKE, False)]),
    ("one low", [-10.0, -10.1, -9_999, -10.2, -10.3, -10.1], -0.1, [(Incident.DIP, False)]),
    ("one zero", [4_321.0, 4_320.9, 0, 4_320.7, 4_320.6, 4_320.9], -0.1, [(Incident.DIP, False)]),
    ("two high", [10.0, 10.1, 9_999, 9_999.1, 10.2, 10.1], 0.1, [(Incident.SPIKE, False)] * 2),
    ("another level", [10.0, 10.1, 9_999, 9_999.1, 9_999.2, 9_999.1], 0.2, [(Incident.STEP, True)]),
    ("begins again", [500.0, 499.9, 0.1, 0.2, 0.1, 0], -0.2, [(Incident.STEP, True)]),
    ("large and steady", [100, 115, 130, 145, 130, 115, 100, 85], -15, []),
    (
        "another unit",
        [-12.7, -12.6, -12.5, -12_400, -12_300, -12_200, -12_100],
        0.2,
        [(Incident.UNIT_CHANGE, True)],
    ),
    (
        "another unit, and back",
        [12.5, 12.6, 12.7, 12_800, 12_900, 12_800, 12_700, 12.8, 12.7],
        0.2,
        [(Incident.DIP, False)],
    ),
]


@pytest.mark.parametrize("every", [QUARTER, timedelta(seconds=60)])
@pytest.mark.parametrize(("name", "values", "total", "incidents"), TOTALS, ids=[row[0] for row in TOTALS])
def test_what_stands_alone_is_left_out_and_what_is_too_much_waits(
    name: str, values: list[Number], total: float, incidents: list[tuple[Incident, bool]], every: timedelta
) -> None:
    result = of(values, every=every)
    if name != "large and steady":
        assert told(result) == incidents
    assert counts(result) == round(total * 1e6)


@pytest.mark.parametrize(("verdict", "total"), [("confirmed", -499.9), ("rejected", -0.1)])
def test_an_operator_decides_a_step(verdict: str, total: float) -> None:
    values = [500.0, 499.9, 0.1, 0.2, 0.1, 0.1]
    meter = PlainMeter(kind="net", floor=50, verdicts={T0 + 2 * QUARTER: verdict})
    assert counts(of(values, meter)) == round(total * 1e6)


def test_a_swap_counts_what_both_meters_showed() -> None:
    swap = PlainSwap(at=T0 + 2 * QUARTER, last=-5.3, first=800)
    meter = PlainMeter(kind="net", floor=50, swaps=(swap,))
    result = of([-5.0, -5.2, 799.5, 799.4], meter)
    assert counts(result) == -200_000 - 100_000 - 500_000 - 100_000 and not result.incidents
