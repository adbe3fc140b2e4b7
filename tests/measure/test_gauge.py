"""Gauges: means over time and over samples."""

from __future__ import annotations

import pytest

from greenpower.measure.gauge import GaugeColumns, gauge_value, merge_gauges
from greenpower.measure.timing import Seconds


def test_a_mean_without_times_is_of_readings_not_of_means() -> None:
    states = [{"n": 3, "sum": 3, "min": 1, "max": 1}, {"n": 1, "sum": 5, "min": 5, "max": 5}]
    assert gauge_value(merge_gauges(states)) == 2


def test_a_value_counts_as_long_as_it_holds() -> None:
    columns = GaugeColumns.of_several([(10, 100)], [55.0], [4])
    assert list(columns.values(2, Seconds(0, 55, 5))) == [pytest.approx((10 * 55 + 100 * 5) / 60)]
    assert list(columns.values(2, Seconds(10, 55, 0))) == [pytest.approx((4 * 10 + 10 * 55) / 65)]
    assert columns.means(2) == [55]


def test_where_nothing_holds_the_mean_is_over_samples() -> None:
    assert GaugeColumns.of_one([7], None).values(1, Seconds(0, 0, 0)) == [7]
    assert GaugeColumns.of_several([(1, 3)], [0.0], None).values(2, Seconds(0, 0, 0)) == [2]


def test_a_constant_value_stays_what_it_is() -> None:
    columns = GaugeColumns.of_several([(0.1,) * 7], [0.1, 0.3, 0.7, 1.1, 1.3, 1.7], [0.1])
    assert columns.values(7, Seconds(0.7, 5.2, 0.9)) == [0.1]


def test_sums_beyond_what_a_float_holds_break_nothing() -> None:
    columns = GaugeColumns.of_several([(1.7e308,) * 3, (-1.7e308, 1.7e308, 1.0)], [60.0, 60.0], [0, 0])
    merged = GaugeColumns.merged([columns, columns], [60.0])
    assert len(merged.values(6, Seconds(1, 300, 1))) == 2
