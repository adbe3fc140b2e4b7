"""Corrections of samples: what is left out and multiplied, exactly, and that what is given stays as it is."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from greenpower.measure.correction import SampleCorrection, correct, exact, left_out, multiply

T0 = datetime(2026, 11, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def one(begin: int, end: int | None, factor: float | None = None, field: str = "c") -> SampleCorrection:
    until = None if end is None else T0 + end * MINUTE
    return SampleCorrection(field=field, begin=T0 + begin * MINUTE, end=until, factor=factor)


READINGS = [{"timestamp": T0 + n * MINUTE, "payload": {"c": 100 + n, "g": 1.5}, "clock": None} for n in range(6)]


def values(*corrections: SampleCorrection) -> list[object]:
    return [reading["payload"].get("c") for reading in correct(READINGS, corrections)]


def test_a_span_has_its_begin_and_not_its_end() -> None:
    before = deepcopy(READINGS)
    assert values(one(1, 3)) == [100, None, None, 103, 104, 105]
    assert values(one(4, None)) == [100, 101, 102, 103, None, None]
    assert values(one(1, 3, 2)) == [100, 202.0, 204.0, 103, 104, 105]
    assert values(one(1, 2), one(2, None, 0.001)) == [100, None, 0.102, 0.103, 0.104, 0.105]
    assert values(one(0, None, 10), one(2, 4)) == [1000.0, 1010.0, None, None, 1040.0, 1050.0]
    assert values(one(50, None), one(-5, 0), one(0, None, field="other")) == [100, 101, 102, 103, 104, 105]
    assert before == READINGS


def test_other_fields_and_other_readings_stay_as_they_are() -> None:
    corrected = correct(READINGS, [one(1, 3)])
    assert len(corrected) == 6 and corrected[0] is READINGS[0]
    assert corrected[1] == {**READINGS[1], "payload": {"g": 1.5}}


@pytest.mark.parametrize(
    ("value", "factor", "product"),
    [(64.2, 0.001, 0.0642), (12800, 0.001, 12.8), (12.5, 1000, 12500.0), (0.1, 3, 0.3), (1e300, 1e300, float("inf")),
     (5e-324, 0.1, 0.0), (-2.2, -1, 2.2), (2**63 - 1, 1e-6, 9223372036854.775807)],
)  # fmt: skip
def test_a_product_is_exact_in_decimals(value: float, factor: float, product: float) -> None:
    assert multiply(value, exact(factor)) == product


def test_what_is_no_number_is_let_be() -> None:
    odd = [{"timestamp": T0, "payload": {"c": value}} for value in ("5", None, True, float("nan"))]
    assert correct(odd, [one(0, None, 2)]) == odd and correct(odd, [one(0, None)]) == odd
    assert correct([], [one(0, None)]) == []


def test_what_is_left_out_of_a_field() -> None:
    assert left_out([one(3, None), one(0, 1), one(1, 2, 5), one(1, 2, field="g")], "c") == [
        (T0, T0 + MINUTE),
        (T0 + 3 * MINUTE, None),
    ]
