"""Angles: the circular mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.angle import AngleColumns, angle_value, merge_angles
from greenpower.measure.timing import Seconds


def mean(angles: list[float]) -> float | None:
    return AngleColumns.of_several([angles], [1.0] * (len(angles) - 1) or [0.0], None).mean(0, len(angles))


def test_angles_are_averaged_on_the_circle() -> None:
    found = mean([350, 10])
    assert found is not None and min(found, 360 - found) < 1e-9
    assert mean([0, 180]) is None
    parts = [AngleColumns.of_one([angle], None).state(0, 1) for angle in (80, 100)]
    merged = angle_value(merge_angles(parts))
    assert merged is not None and abs(merged - 90) < 1e-9


def test_an_angle_counts_as_long_as_it_holds() -> None:
    columns = AngleColumns.of_several([(0, 90)], [30.0], None)
    (found,) = columns.values(2, Seconds(0, 30, 30))
    assert found is not None and abs(found - 45) < 1e-9
    (found,) = columns.values(2, Seconds(0, 30, 0))
    assert found is not None and min(found, 360 - found) < 1e-9


@given(st.lists(st.floats(-360, 360), min_size=1))
def test_a_circular_mean_lies_on_the_circle(angles: list[float]) -> None:
    found = mean(angles)
    assert found is None or 0 <= found < 360
