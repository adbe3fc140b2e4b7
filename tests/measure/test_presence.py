"""The rules of presence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.ingest.steps.presence import IntervalTracker
from greenpower.measure.presence import GAPS, SETTLING, Span, join_spans, listened_silence, patience, usual_interval

START = datetime(2026, 1, 26, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(since: float, until: float) -> Span:
    return Span(at(since), at(until))


@pytest.mark.parametrize(
    ("stale_after", "interval", "seconds"),
    [(60, None, 60), (60, 10, 60), (60, 30, 75), (60, 3600, 9000), (1020, 60, 1020), (1020, 900, 2250)],
)
def test_patience_is_the_longer_of_the_two(stale_after: float, interval: float | None, seconds: float) -> None:
    assert patience(stale_after, interval) == timedelta(seconds=seconds)


def test_silence_is_counted_to_the_last_time_that_somebody_listened() -> None:
    assert listened_silence(at(100), [span(0, 160)]) == timedelta(seconds=60)
    assert listened_silence(at(100), [span(0, 90)]) == timedelta()
    assert listened_silence(at(100), []) == timedelta()


def test_gaps_and_a_while_after_them_do_not_count() -> None:
    settling = SETTLING.total_seconds()
    assert listened_silence(at(100), [span(0, 110), span(5000, 5000 + settling)]) == timedelta(seconds=10)
    assert listened_silence(at(100), [span(0, 110), span(5000, 5030 + settling)]) == timedelta(seconds=40)
    # An ingest that is restarted again and again never makes an alarm.
    restarts = [span(start, start + 50) for start in range(0, 100_000, 60)]
    assert listened_silence(at(10), restarts) == timedelta(seconds=40)


def test_spans_of_several_processes_are_one_watch() -> None:
    assert join_spans([span(50, 200), span(0, 100), span(300, 400), span(60, 70)]) == [span(0, 200), span(300, 400)]
    assert join_spans([]) == []


SPANS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 500)), max_size=20)


@given(SPANS, st.integers(0, 10_000))
def test_no_more_silence_than_time_and_none_without_a_listener(raw: list[tuple[int, int]], heard: int) -> None:
    spans = join_spans(span(since, since + length) for since, length in raw)
    assert all(one.until < two.since for one, two in pairwise(spans))
    watched = sum((max(one.until - max(one.since, at(heard)), timedelta()) for one in spans), timedelta())
    silence = listened_silence(at(heard), spans)
    assert timedelta() <= silence <= watched
    if not raw:
        assert silence == timedelta()


@given(SPANS, st.integers(0, 10_000), st.integers(0, 1_000))
def test_stopping_early_changes_no_verdict(raw: list[tuple[int, int]], heard: int, limit: int) -> None:
    spans = join_spans(span(since, since + length) for since, length in raw)
    enough = timedelta(seconds=limit)
    assert (listened_silence(at(heard), spans, enough) > enough) == (listened_silence(at(heard), spans) > enough)


def test_the_interval_is_the_usual_gap_between_readings() -> None:
    assert usual_interval([]) is None
    assert usual_interval([30]) == 30
    assert usual_interval([30, 30, 3000, 30, 29]) == 30
    interval_tracker, key = IntervalTracker(), ("rt", "D1")

    def after(key: tuple[str, str], seconds: float) -> float | None:
        interval_tracker.reading(key, at(seconds))
        return interval_tracker.interval(key)

    assert interval_tracker.interval(key) is None
    assert after(key, 0) is None
    assert after(key, 0) is None, "a further part"
    assert after(key, 60) == 60
    assert after(key, 30) == 60, "a late one"
    assert after(("rt", "D2"), 1) is None
    for number in range(2, 2 + GAPS):
        found = after(key, 60 + 600 * number)
    assert found == 600
