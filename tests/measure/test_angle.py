"""Angles: the circular mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.angle import angle_value, make_angle, merge_angles


def test_angles_are_averaged_on_the_circle() -> None:
    mean = angle_value(merge_angles([make_angle([350]), make_angle([10])]))
    assert mean is not None and min(mean, 360 - mean) < 1e-9
    assert angle_value(make_angle([0, 180])) is None


@given(st.lists(st.floats(-360, 360), min_size=1))
def test_a_circular_mean_lies_on_the_circle(angles: list[float]) -> None:
    mean = angle_value(make_angle(angles))
    assert mean is None or 0 <= mean < 360
