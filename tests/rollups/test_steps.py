"""Where a step ends: on a whole day, or where no more fits into memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenpower.measure.windows import floor
from greenpower.mongo.rollups.ranges import DEVICE_RANGES
from greenpower.rollups import parts
from greenpower.rollups.tier_run import TierRun


@st.composite
def stretches(draw: st.DrawFn) -> tuple[list[int], int, int, int, bool, bool]:
    """The minute of each reading; begin, end and target in half hours; whether of buckets; whether with a ledger."""
    minutes = sorted(draw(st.lists(st.integers(0, 4 * 1_440 - 1), max_size=40)))
    begin = draw(st.integers(0, 100))
    end = draw(st.integers(begin + 1, 192))
    return minutes, begin, end, draw(st.integers(0, 192)), draw(st.booleans()), draw(st.booleans())


@given(stretches(), st.integers(1, 12), st.integers(2, 4))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_step_is_a_day_or_what_fits(
    monkeypatch: pytest.MonkeyPatch,
    stretch: tuple[list[int], int, int, int, bool, bool],
    most: int,
    days_most: int,
) -> None:
    minutes, first, last, done, of_buckets, with_ledger = stretch
    midnight_0 = datetime(2026, 11, 1, tzinfo=UTC)
    half_hour = timedelta(minutes=30)
    begin, end, target = (midnight_0 + half_hour * windows for windows in (first, last, done))
    times = [midnight_0 + timedelta(minutes=minute) for minute in minutes]

    def counted(since: datetime, until: datetime) -> int:
        return sum(since <= time < until for time in times)

    monkeypatch.setattr(parts, "_max_documents", lambda source: most)
    monkeypatch.setattr(parts, "MAX_READINGS_PER_STEP", most * days_most)
    monkeypatch.setattr(parts, "_count", lambda run, source, b, e, limit: min(limit, counted(b, e)))
    source = SimpleNamespace(window=60 if of_buckets else None)
    run = SimpleNamespace(
        by_source=lambda since, until: [(source, since, until)],
        ranges=range(DEVICE_RANGES),
        unit=half_hour,
        target=target,
        ledger=object() if with_ledger else None,
    )
    stop = parts.end_of_step(cast(TierRun, run), begin, end)
    assert begin < stop <= end
    assert (stop - begin) % half_hour == timedelta(0)
    midnight = floor(begin, 86_400) + timedelta(days=1)
    if of_buckets and not with_ledger:
        assert counted(begin, stop) <= most or stop - begin == half_hour
    elif midnight <= min(end, target):
        if counted(begin, midnight) < most * days_most:
            assert stop >= midnight
        assert counted(begin, stop) <= most * days_most or stop - begin == half_hour
        assert stop <= midnight or stop == end or stop == floor(stop, 86_400)
        assert stop <= midnight or counted(begin, stop) <= most
    else:
        assert counted(begin, stop) <= most or stop - begin == half_hour
        assert stop <= midnight or stop == end or stop == floor(stop, 86_400)
