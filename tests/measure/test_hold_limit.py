"""How long values hold: against the median written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.hold_limit import gaps_between, hold_limits

T0 = datetime(2026, 11, 23, tzinfo=UTC)


@given(st.lists(st.one_of(st.sampled_from([5.0, 60.0, 300.0]), st.floats(0.001, 1e6)), max_size=60), st.floats(1, 1e4))
def test_a_limit_is_twice_the_median_of_the_16_gaps_before(gaps: list[float], stale_after: float) -> None:
    wanted = [
        max(stale_after, 2 * median(gaps[max(0, i - 16) : i])) if i else stale_after for i in range(len(gaps) + 1)
    ]
    assert hold_limits(gaps, stale_after) == wanted


@pytest.mark.parametrize(
    ("gaps", "limit"),
    [
        ([], 60),
        ([10] * 20, 60),
        ([60] * 20, 120),
        ([300] * 16, 600),
        ([300] * 16 + [5] * 8, 305),
        ([5] * 9 + [300] * 7, 60),
    ],
)
def test_a_limit_follows_the_usual_interval(gaps: list[float], limit: float) -> None:
    assert hold_limits(gaps, 60)[-1] == limit


def test_gaps_are_seconds() -> None:
    assert gaps_between([]) == gaps_between([T0]) == []
    assert gaps_between([T0, T0 + timedelta(milliseconds=1500), T0 + timedelta(days=1)]) == [1.5, 86_398.5]
