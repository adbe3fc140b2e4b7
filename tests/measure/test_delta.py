"""Deltas: against a plain recomputation from the rules in docs/rollups.md, in any grouping, and piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import Kind
from greenpower.measure.bucket import by_window
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.rules import Limits, OperatorDecision
from greenpower.measure.delta import delta_total, make_delta, merge_deltas
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.slot import OPEN, SILENCE
from greenpower.measure.spec import Spec
from tests.measure.rolled import documents, merge_stored

T0 = datetime(2026, 11, 2, tzinfo=UTC)
END = T0 + timedelta(days=10)
FIELD = "used"
STALE = 60.0
Sample = tuple[datetime, float]
NUMBERS = st.one_of(st.integers(-20, 400), st.floats(-1, 400), st.decimals(0, 20, places=3).map(float))
SERIES = st.lists(
    st.tuples(st.sampled_from([200, 1000, 60_000, 300_000, 900_000, 7_200_000]), NUMBERS), min_size=1, max_size=40
)


def make_series(steps: list[tuple[int, float]]) -> list[Sample]:
    """Samples, from the milliseconds between them."""
    found, time = [], T0
    for gap, value in steps:
        time += timedelta(milliseconds=gap)
        found.append((time, value))
    return found


def rolled(samples: list[Sample], *, rate: float | None = None, **changes: Any) -> Rolled:
    verdicts: Mapping[datetime, bool] = changes.pop("verdicts", {})
    given: dict[str, Any] = {
        "begin": T0,
        "end": END,
        "length": 60,
        "settled_before": END,
        "stale_after": STALE,
        "slots": True,
        "carries": {FIELD: None},
        "decisions": {FIELD: OperatorDecision(verdicts=verdicts)},
        "spec": Spec(kinds={FIELD: Kind.DELTA}, limits={FIELD: Limits(rate=rate, floor=50)}),
    }
    return roll([time for time, _ in samples], [{FIELD: value} for _, value in samples], **{**given, **changes})


def counting(samples: list[Sample], rate: float | None, verdicts: Mapping[datetime, bool]) -> list[bool]:
    """Which samples count: by the rules, and nothing else."""
    found = []
    for number, (time, value) in enumerate(samples):
        fits = abs(value) <= 9e9
        if rate is not None and number:
            hours = (time - samples[number - 1][0]).total_seconds() / 3600
            fits &= abs(value) <= rate * hours * (1 + 1e-9)
        found.append(fits or verdicts.get(time, False))
    return found


@given(SERIES, st.sampled_from([None, 5.0, 100.0]), st.data())
def test_a_delta_is_summed_exactly_in_every_window_quarter_and_grouping(
    steps: list[tuple[int, float]], rate: float | None, data: st.DataObject
) -> None:
    samples = make_series(steps)
    chosen = data.draw(st.dictionaries(st.sampled_from([time for time, _ in samples]), st.booleans(), max_size=3))
    counts = counting(samples, rate, chosen)
    result = rolled(samples, rate=rate, verdicts=chosen)
    total = sum((Fraction(value) for (_, value), counted in zip(samples, counts, strict=True) if counted), Fraction())
    assert sum(delta_total(bucket.stats[FIELD]) for bucket in result.buckets) == total
    for slot in result.slots[FIELD]:
        inside = [
            (value, counted)
            for (time, value), counted in zip(samples, counts, strict=True)
            if slot.start <= time < slot.start + timedelta(minutes=15)
        ]
        assert slot.energy == sum(round(value * 10**6) for value, counted in inside if counted)
        assert (slot.n, slot.last) == (len(inside), None)
    fits = counting(samples, rate, {})
    assert {(event.at, event.open) for event in result.incidents} == {
        (time, time not in chosen) for (time, _), usual in zip(samples, fits, strict=True) if not usual
    }
    parts = documents(result.buckets)
    spec = Spec(kinds={FIELD: Kind.DELTA})
    for length in (300, 7200, 86_400):
        merged = [merge_stored(some, start, spec) for start, some in by_window(parts, length).items()]
        direct = rolled(samples, rate=rate, verdicts=chosen, length=length).buckets
        assert [bucket.stats for bucket in merged] == [bucket.stats for bucket in direct]
        assert [bucket.payload for bucket in merged] == [bucket.payload for bucket in direct]


@given(SERIES, st.integers(0, 39), st.booleans())
def test_a_stretch_alone_is_what_the_whole_says(steps: list[tuple[int, float]], cut: int, known: bool) -> None:
    samples = make_series(steps)
    begin = samples[min(cut, len(samples) - 1)][0].replace(second=0, microsecond=0)
    inside = [sample for sample in samples if sample[0] >= begin]
    before = [sample for sample in samples if sample[0] < begin]
    whole = rolled(samples, rate=50.0)
    there = [bucket for bucket in whole.buckets if bucket.start >= begin]
    if known:
        carry = Carry(value=float("nan"), at=before[-1][0]) if before else None
        alone = rolled(inside, rate=50.0, begin=begin, carries={FIELD: carry})
    else:
        alone = rolled([*before[-17:], *inside], rate=50.0, begin=begin, carries={} if before else {FIELD: None})
    assert [bucket.stats for bucket in alone.buckets] == [bucket.stats for bucket in there]
    assert alone.incidents == [event for event in whole.incidents if event.at >= begin]
    assert not alone.short or known is False


@given(st.lists(NUMBERS, min_size=1, max_size=12), st.data())
def test_merging_in_any_grouping_is_the_whole(values: list[float], data: st.DataObject) -> None:
    times = [T0 + timedelta(seconds=number) for number in range(len(values))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(values)), max_size=4)) | {len(values)})
    states, here = [], 0
    for there in cuts:
        states.append(make_delta(values[here:there], times[here:there]))
        here = there
    whole = make_delta(values, times)
    assert merge_deltas(states) == whole
    place = data.draw(st.integers(1, len(states)))
    halves = [merge_deltas(part) for part in (states[:place], states[place:]) if part]
    assert merge_deltas(halves) == whole


def test_what_cannot_have_been_used_counts_nothing_until_it_is_confirmed() -> None:
    samples = [(T0 + timedelta(minutes=15 * number), value) for number, value in enumerate((5.0, 1.0, 400.0, 2.0))]
    result = rolled(samples, rate=50.0)
    assert sum(slot.energy for slot in result.slots[FIELD]) == 8_000_000
    [event] = result.incidents
    assert (event.at, event.value, event.open, event.before_at) == (samples[2][0], 400.0, True, samples[1][0])
    assert [slot.flags & OPEN for slot in result.slots[FIELD]] == [0, 0, OPEN, 0]
    for real, total in ((True, 408_000_000), (False, 8_000_000)):
        decided = rolled(samples, rate=50.0, verdicts={samples[2][0]: real})
        assert sum(slot.energy for slot in decided.slots[FIELD]) == total
        assert not any(slot.flags & OPEN for slot in decided.slots[FIELD])
    assert sum(slot.energy for slot in rolled(samples, rate=50.0, power=2000).slots[FIELD]) == 408_000_000


def test_samples_that_arrive_at_once_share_the_time_before_them() -> None:
    burst = [timedelta(hours=2, milliseconds=part) for part in (0, 200, 400)]
    samples = [(T0, 1.0), *((T0 + after, 40.0) for after in burst)]
    result = rolled(samples, rate=50.0, arrivals=[True] * 4)
    assert sum(slot.energy for slot in result.slots[FIELD]) == 81_000_000
    assert [event.at for event in result.incidents] == [T0 + burst[2]]
    assert len(rolled(samples, rate=50.0, arrivals=[False] * 4).incidents) == 2


def test_a_silence_before_a_delta_is_told() -> None:
    times = [T0 + timedelta(minutes=number) for number in range(20)]
    times.append(times[-1] + timedelta(hours=3))
    slots = rolled([(time, 0.5) for time in times]).slots[FIELD]
    assert [(slot.silence_s, slot.flags) for slot in slots] == [(0, 0), (0, 0), (10_800, SILENCE)]
    assert slots[-1].last_at == times[-1]


@pytest.mark.parametrize("value", [1e10, -1e10, 1e300])
def test_what_no_meter_counts_never_counts(value: float) -> None:
    samples = [(T0, 1.0), (T0 + timedelta(hours=1), value)]
    confirmed = rolled(samples, verdicts={samples[1][0]: True})
    counted = abs(value) <= 1e12
    assert sum(slot.energy for slot in confirmed.slots[FIELD]) == 10**6 + (round(value * 10**6) if counted else 0)
    assert len(confirmed.incidents) == 1
