"""Gauges: the mean."""

from __future__ import annotations

from greenpower.measure.gauge import gauge_value, make_gauge, merge_gauges


def test_a_mean_is_of_readings_not_of_means() -> None:
    assert gauge_value(merge_gauges([make_gauge([1, 1, 1]), make_gauge([5])])) == 2
