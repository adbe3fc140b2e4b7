"""Scales of charts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.reports.chart import days_chart, make_chart, zones_chart
from tests.reports.made import make_empty, make_report


@given(st.lists(st.none() | st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-6), max_size=40))
def test_every_bar_is_on_the_scale(values: list[float | None]) -> None:
    chart = make_chart("t", "kWh", [(str(number), value) for number, value in enumerate(values)])
    assert 2 <= len(chart.lines) <= 8 and chart.bottom <= 0 <= chart.top
    assert all(-1e-6 <= chart.height(value) <= 1 + 1e-6 for value in values if value is not None)


def test_lines_are_round_numbers() -> None:
    assert make_chart("t", "", [("a", 128.0)]).lines == [0, 50, 100, 150]
    assert make_chart("t", "", [("a", -3.0), ("b", 7.0)]).lines == [-5.0, -2.5, 0.0, 2.5, 5.0, 7.5]
    assert make_chart("t", "", []).lines[0] == 0


def test_charts_of_reports() -> None:
    report = make_report()
    days, zones = days_chart(report), zones_chart(report)
    assert days.labels[0] == "1" and days.values[9] is None and zones is not None
    assert zones.values == pytest.approx([1200.0, 900.0, 500.0, 20.0, 0.0])
    assert zones_chart(make_empty()) is None
