"""Timings: until when a value holds, and how much of a window."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from greenpower.measure.timing import Timing, lead_until, merge_timings, seconds_within

T0 = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(("limit", "until"), [(30, 30), (60, 60), (90, 60), (math.inf, 60), (0, 0)])
def test_a_value_holds_until_the_next_sample_at_most(limit: float, until: float) -> None:
    assert lead_until(T0, limit, at(60)) == at(until)


def test_the_edges_of_a_window_are_added_when_it_is_read() -> None:
    timing = Timing(2, at(70), at(90), 20, 60, at(65))
    assert seconds_within(timing, at(60), at(120), over=True) == (5, 20, 30)
    assert seconds_within(timing, at(60), at(120), over=False) == (5, 20, 0)
    assert seconds_within(timing, at(60), at(600), over=True) == (5, 20, 60)
    assert seconds_within(timing, at(68), at(120), over=True) == (0, 20, 30)


def test_what_holds_between_neighbours_is_added_when_they_merge() -> None:
    one, two = Timing(1, at(0), at(0), 0, 60, None), Timing(2, at(100), at(130), 30, 90, at(60))
    merged, gaps = merge_timings([one, two])
    assert merged == Timing(3, at(0), at(130), 90, 90, None) and gaps == [60]
