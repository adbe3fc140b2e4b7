"""Means over time against the plain recomputation: rolled up, merged in any grouping, cut anywhere, of old buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.datatype import Kind
from greenpower.measure.bucket import by_window, merge_buckets, statistics_of
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import Spec
from tests.measure.plain import window_of
from tests.measure.plain_mean import PlainMean, plain_mean
from tests.measure.rolled import ALWAYS, document

T0 = datetime(2026, 11, 23, tzinfo=UTC)
SPEC = Spec(kinds={"g": Kind.GAUGE, "h": Kind.GAUGE, "a": Kind.ANGLE, "s": Kind.STATE})
STALE_AFTER = 60
Reading = tuple[datetime, Mapping[str, float]]

payloads = st.fixed_dictionaries(
    {"g": st.floats(-1e6, 1e6)},
    optional={"h": st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(-1, 1)), "a": st.floats(0, 360)},
) | st.fixed_dictionaries({}, optional={"h": st.integers(0, 9), "s": st.integers(0, 3), "a": st.just(90)})
gaps = st.one_of(st.sampled_from([1.0, 5.0, 60.0, 300.0]), st.integers(1, 900_000).map(lambda ms: ms / 1000))


@st.composite
def series(draw: st.DrawFn) -> list[Reading]:
    """Readings of a device, at even steps for a while, then others."""
    time = T0 + timedelta(seconds=draw(st.integers(0, 3_600)))
    found: list[Reading] = []
    for _ in range(draw(st.integers(1, 6))):
        gap = draw(gaps)
        for _ in range(draw(st.integers(1, 20))):
            found.append((time, draw(payloads)))
            time += timedelta(seconds=gap)
    return found


def rolled(readings: Sequence[Reading], length: int, first: int = 0, settled_before: datetime = ALWAYS) -> Rolled:
    """The buckets from the window of reading number `first` on, with no more before it than the work needs."""
    times = [time for time, _ in readings]
    begin = window_of(times[first], length)
    start = bisect_left(times, begin)
    return roll(
        times,
        [dict(payload) for _, payload in readings],
        begin=begin,
        end=T0 + timedelta(days=90),
        length=length,
        spec=SPEC,
        settled_before=settled_before,
        stale_after=STALE_AFTER,
        known=times if start else None,
    )


def of_field(readings: Sequence[Reading], name: str) -> list[tuple[datetime, float]]:
    return [(time, payload[name]) for time, payload in readings if name in payload]


def wanted_of(readings: Sequence[Reading], name: str, start: datetime, length: int, *, over: bool = True) -> PlainMean:
    times, end = [time for time, _ in readings], start + timedelta(seconds=length)
    return plain_mean(times, of_field(readings, name), start, end, STALE_AFTER, over=over)


def check(stored: Mapping[str, Any], readings: Sequence[Reading], length: int, *, over: bool = True) -> None:
    """A stored bucket against the plain recomputation."""
    start, payload = stored["timestamp"], stored["payload"]
    end = start + timedelta(seconds=length)
    for name, state in statistics_of(stored).items():
        inside = [(time, value) for time, value in of_field(readings, name) if start <= time < end]
        assert (state["n"], state["first_at"], state["first"]) == (len(inside), *inside[0])
        assert (state["last_at"], state["last"]) == inside[-1]
        wanted = wanted_of(readings, name, start, length, over=over)
        assert state["seconds"] == pytest.approx(float(wanted.seconds), abs=1e-6)
        if name == "a":
            if wanted.seconds and wanted.direction is not None:
                assert abs((payload["a"] - wanted.direction + 180) % 360 - 180) < 1e-3
            continue
        assert (state["min"], state["max"]) == (min(v for _, v in inside), max(v for _, v in inside))
        assert state["mean"] == pytest.approx(state["sum"] / state["n"])
        if wanted.mean is None:
            assert payload[name] == state["mean"]
        else:
            off = abs(Fraction(payload[name]) - wanted.mean) * wanted.seconds
            assert off <= Fraction(1e-9) * (wanted.size + abs(Fraction(state["max"] - state["min"])))
    times = [time for time, _ in readings]
    device = plain_mean(times, [(time, 1) for time in times], start, end, STALE_AFTER, over=over)
    assert stored["coverage"]["seconds"] == pytest.approx(float(device.seconds), abs=1e-6)


@settings(max_examples=100)
@given(series(), st.sampled_from([60, 600, 10_800]))
def test_means_equal_a_plain_integral(readings: list[Reading], length: int) -> None:
    buckets = rolled(readings, length).buckets
    assert {name for bucket in buckets for name in bucket.payload} >= {"g", "h"} & {n for _, p in readings for n in p}
    for bucket in buckets:
        check(document(bucket), readings, length)


@settings(max_examples=100)
@given(series(), st.data())
def test_merging_in_any_grouping_equals_the_whole(readings: list[Reading], data: st.DataObject) -> None:
    fine, coarse = data.draw(st.sampled_from([(60, 600), (60, 21_600), (600, 10_800)]))
    known: Any = {"spec": SPEC, "length": coarse, "settled_before": ALWAYS}
    for start, parts in by_window([document(one) for one in rolled(readings, fine).buckets], coarse).items():
        cuts = sorted(data.draw(st.lists(st.integers(0, len(parts)), max_size=3)))
        groups = [parts[begin:end] for begin, end in pairwise([0, *cuts, len(parts)]) if begin < end]
        halves = [document(merge_buckets(group, start, **known)) for group in groups]
        for merged in (merge_buckets(parts, start, **known), merge_buckets(halves, start, **known)):
            check(document(merged), readings, coarse)


@settings(max_examples=100)
@given(series(), st.sampled_from([60, 600]), st.data())
def test_a_stretch_alone_equals_the_whole(readings: list[Reading], length: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(readings) - 1))
    for bucket in rolled(readings, length, first).buckets:
        check(document(bucket), readings, length)


@settings(max_examples=100)
@given(series(), st.sampled_from([60, 600]))
def test_an_open_window_has_the_mean_up_to_its_last_sample(readings: list[Reading], length: int) -> None:
    for bucket in rolled(readings, length, settled_before=T0).buckets:
        check(document(bucket), readings, length, over=False)


def test_a_bucket_from_before_means_were_over_time_is_read() -> None:
    old = {
        "timestamp": T0,
        "payload": {"g": 2.0, "a": 90.0},
        "stats": {"g": {"n": 3, "sum": 6.0, "min": 1.0, "max": 3.0}, "a": {"n": 1, "sin": 1.0, "cos": 0.0}},
        "coverage": {"count": 3, "first": T0, "last": T0 + timedelta(seconds=50)},
        "final": True,
    }
    (new,) = rolled([(T0 + timedelta(seconds=70), {"g": 10.0, "h": 1.0, "a": 90.0})], 60).buckets
    known: Any = {"spec": SPEC, "length": 600, "settled_before": ALWAYS}
    both = document(merge_buckets([old, document(new)], T0, **known))
    assert both["payload"]["g"] == 4 and both["stats"]["g"] == {"n": 4, "sum": 16.0, "min": 1.0, "max": 10.0}
    assert both["payload"]["a"] == pytest.approx(90) and both["stats"]["a"]["n"] == 2
    assert both["payload"]["h"] == 1 and statistics_of(both)["h"]["n"] == 1
    assert both["coverage"] == {"count": 4, "first": T0, "last": T0 + timedelta(seconds=70)}
    again = document(merge_buckets([both, document(new)], T0, **known))
    assert again["stats"]["g"]["n"] == 5 and again["payload"]["g"] == pytest.approx(26 / 5)
    alone = document(merge_buckets([old], T0, **known))
    assert (alone["payload"], alone["stats"]) == (old["payload"], old["stats"])
