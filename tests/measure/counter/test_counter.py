"""Counters: which samples count, what lies between them, and that cutting a series anywhere changes nothing."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import Kind
from greenpower.measure.counter.dip_filter import SAMPLES_AHEAD, SAMPLES_BEFORE, filter_dips
from greenpower.measure.counter.rules import CounterRules, Incident, Limits, OperatorDecision, Swap
from greenpower.measure.counter.state import correction, energy, join_total, merge_counters, split_total
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import Spec
from tests.measure import plain

T0 = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALWAYS = datetime(2100, 1, 1, tzinfo=UTC)

registers = st.one_of(
    st.integers(0, 40),
    st.floats(0, 1000, allow_nan=False).map(lambda value: round(value, 3)),
    st.integers(2**60, 2**63 - 1),
    st.floats(0, 1e-300),
)
small = st.lists(st.integers(0, 12), max_size=40)
series = st.lists(st.tuples(st.integers(1, 200), registers), max_size=40)
limits = st.builds(Limits, modulus=st.sampled_from([None, 50, 1000]), rate=st.sampled_from([None, 5.0, 600, 1e6]))


def timed(steps: list[tuple[int, Any]]) -> tuple[list[datetime], list[Any]]:
    """Samples with times from the seconds between them."""
    times, now = [], T0
    for seconds, _ in steps:
        now += timedelta(seconds=seconds)
        times.append(now)
    return times, [value for _, value in steps]


def rolled(times: list[datetime], values: list[Any], length: int, limit: Limits, **more: Any) -> Rolled:
    """All buckets of a series of the counter `e`."""
    spec = Spec(kinds={"e": Kind.COUNTER}, limits={"e": limit})
    return roll(
        times,
        [{"e": value} for value in values],
        **{"begin": T0, "end": T0 + timedelta(days=1), "settled_before": ALWAYS, **more},
        length=length,
        spec=spec,
    )


@given(small, st.data())
def test_any_stretch_is_filtered_as_in_the_whole_series(values: list[int], data: st.DataObject) -> None:
    """A stretch with some samples before and after it keeps the same samples, and the same one before."""
    begin = data.draw(st.integers(0, len(values)))
    end = data.draw(st.integers(begin, len(values)))
    first = max(0, begin - SAMPLES_BEFORE)
    whole = filter_dips(values)
    part = filter_dips(values[first : end + SAMPLES_AHEAD])
    assert [i for i in whole.kept if begin <= i < end] == [i + first for i in part.kept if begin <= i + first < end]
    assert [i for i in whole.dips if begin <= i < end] == [i + first for i in part.dips if begin <= i + first < end]
    if begin < end and begin in whole.kept:
        before = [i for i in whole.kept if i < begin][-1:]
        assert before == [i + first for i in part.kept if i + first < begin][-1:]


@given(small, st.lists(st.integers(0, 12), max_size=5), st.integers(0, 40))
def test_what_is_settled_stays(values: list[int], more: list[int], settled: int) -> None:
    """Samples that come later, behind the settled ones, change nothing before the first open one."""
    settled = min(settled, len(values))
    before = filter_dips(values, settled)
    after = filter_dips([*values[:settled], *more, *values[settled:]], settled)
    limit = settled if before.open_from is None else min(settled, before.open_from)
    assert [i for i in before.kept if i < limit] == [i for i in after.kept if i < limit]
    assert [i for i in before.dips if i < limit] == [i for i in after.dips if i < limit]


@given(series, limits, st.sampled_from([60, 600, 3600]))
def test_windows_equal_the_plain_recomputation(steps: list[tuple[int, Any]], limit: Limits, length: int) -> None:
    times, values = timed(steps)
    found = {bucket.start: bucket.stats["e"] for bucket in rolled(times, values, length, limit).buckets if bucket.stats}
    wanted = plain.counter(list(zip(times, values, strict=True)), length, limit.rate, limit.modulus)
    assert found.keys() == wanted.keys()
    assert all(plain.same("counter", found[start], wanted[start]) for start in wanted)


@given(series, limits, st.sampled_from([60, 600]), st.integers(1, 4))
def test_upper_windows_equal_the_plain_recomputation(
    steps: list[tuple[int, Any]], limit: Limits, length: int, times_longer: int
) -> None:
    """Merging windows gives what the readings give, and the energy of the union is that of its parts."""
    times, values = timed(steps)
    rules = CounterRules(limit)
    upper = length * times_longer
    groups: dict[datetime, list[Any]] = {}
    for bucket in rolled(times, values, length, limit).buckets:
        if bucket.stats:
            groups.setdefault(plain.window_of(bucket.start, upper), []).append(bucket.stats["e"])
    wanted = plain.counter(list(zip(times, values, strict=True)), upper, limit.rate, limit.modulus)
    assert groups.keys() == wanted.keys()
    for start, states in groups.items():
        merged = merge_counters(states, rules)
        assert plain.same("counter", merged, wanted[start])
        edges = Fraction()
        for one, other in pairwise(states):
            verdict = rules.between(one["last"], one["last_at"], other["first"], other["first_at"])
            edges += Fraction(other["first"]) - Fraction(one["last"]) + (verdict.correction if verdict else 0)
        assert _exact(merged) == sum(map(_exact, states), edges)


def _exact(state: Any) -> Fraction:
    return Fraction(state["last"]) - Fraction(state["first"]) + correction(state)


@given(series, limits, st.data())
def test_merging_is_associative(steps: list[tuple[int, Any]], limit: Limits, data: st.DataObject) -> None:
    times, values = timed(steps)
    rules = CounterRules(limit)
    states = [bucket.stats["e"] for bucket in rolled(times, values, 60, limit).buckets if bucket.stats]
    if not states:
        return
    cut = data.draw(st.integers(0, len(states)))
    halves = [merge_counters(part, rules) for part in (states[:cut], states[cut:]) if part]
    assert merge_counters(halves, rules) == merge_counters(states, rules)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 50)), min_size=1), st.sampled_from([60, 600]))
def test_energy_is_last_minus_first_when_nothing_happened(steps: list[tuple[int, int]], length: int) -> None:
    times, gains = timed(steps)
    values = [sum(gains[: index + 1]) for index in range(len(gains))]
    states = [bucket.stats["e"] for bucket in rolled(times, values, length, Limits(rate=1e9)).buckets]
    assert energy(merge_counters(states, CounterRules())) == values[-1] - values[0]
    assert all(state["correction"] == 0 for state in states)


@given(series, limits, st.data())
def test_a_stretch_computed_alone_equals_the_whole(
    steps: list[tuple[int, Any]], limit: Limits, data: st.DataObject
) -> None:
    """Given `SAMPLES_BEFORE` readings before it and `SAMPLES_AHEAD` after it, incidents included."""
    times, values = timed(steps)
    begin = T0 + timedelta(minutes=data.draw(st.integers(0, 130)))
    end = begin + timedelta(minutes=data.draw(st.integers(1, 60)))
    low, high = bisect_left(times, begin), bisect_left(times, end)
    first, last = max(0, low - SAMPLES_BEFORE), high + SAMPLES_AHEAD
    part = rolled(times[first:last], values[first:last], 60, limit, begin=begin, end=end)
    whole = rolled(times, values, 60, limit)
    key = lambda found: (found.at, found.incident)  # noqa: E731
    assert [b.stats for b in part.buckets] == [b.stats for b in whole.buckets if begin <= b.start < end]
    assert sorted(part.incidents, key=key) == sorted((f for f in whole.incidents if begin <= f.at < end), key=key)


def of(
    *values: Any,
    limit: Limits = Limits(),  # noqa: B008
    decision: OperatorDecision = OperatorDecision(),  # noqa: B008
    minutes: float = 1,
) -> Rolled:
    """Samples a minute apart, in one window."""
    times = [T0 + timedelta(minutes=minutes) * index for index in range(len(values))]
    spec = Spec(kinds={"e": Kind.COUNTER}, limits={"e": limit})
    return roll(
        times,
        [{"e": value} for value in values],
        begin=T0,
        end=T0 + timedelta(days=1),
        length=86_400,
        spec=spec,
        decisions={"e": decision},
        settled_before=ALWAYS,
    )


def counted(result: Rolled) -> float:
    """The energy of the only window."""
    return energy(result.buckets[0].stats["e"])


def kinds(result: Rolled) -> list[Incident]:
    return [found.incident for found in result.incidents]


def test_a_zero_glitch_is_no_register() -> None:
    result = of(31.057, 0, 31.057, 31.057)
    assert counted(result) == 0
    assert kinds(result) == [Incident.DIP]


@pytest.mark.parametrize("dips", [1, 2, 3])
def test_up_to_three_samples_are_a_dip(dips: int) -> None:
    result = of(100, *range(dips), 101, 102)
    assert counted(result) == 2
    assert kinds(result) == [Incident.DIP] * dips


def test_four_low_samples_are_a_reset() -> None:
    result = of(100, 0, 1, 2, 3, 4)
    assert counted(result) == 4
    assert kinds(result) == [Incident.RESET]


def test_a_drop_waits_for_three_samples() -> None:
    result = of(100, 0, 1)
    assert result.buckets[0].stats["e"]["last"] == 100
    assert not result.buckets[0].settled
    assert of(100, 101, 102).buckets[0].settled


def test_a_step_that_cannot_be_is_not_counted_until_confirmed() -> None:
    limit = Limits(rate=60)
    result = of(10, 11, 500, 501, 502, limit=limit)
    assert counted(result) == 1 + 0 + 2
    [found] = result.incidents
    assert (found.incident, found.before, found.value) == (Incident.STEP, 11, 500)
    assert counted(of(10, 11, 500, 501, 502, limit=limit, decision=OperatorDecision(verdicts={found.at: True}))) == 492
    assert counted(of(10, 11, 500, 501, 502, limit=limit, decision=OperatorDecision(verdicts={found.at: False}))) == 3


def test_a_spike_costs_two_intervals_at_most() -> None:
    result = of(100, 101, 9000, 103, 104, 105, 106, limit=Limits(rate=60))
    assert counted(result) == 1 + 0 + 0 + 3
    assert kinds(result) == [Incident.STEP, Incident.RESTART]


def test_a_reset_can_be_rejected() -> None:
    at = T0 + 2 * MINUTE
    assert counted(of(100, 101, 7, 8, 9, 10)) == 1 + 7 + 3
    assert counted(of(100, 101, 7, 8, 9, 10, decision=OperatorDecision(verdicts={at: False}))) == 1 + 3


def test_a_register_rolls_over_at_its_modulus() -> None:
    result = of(99_990, 99_998, 3, 8, 9, 12, limit=Limits(modulus=100_000))
    assert counted(result) == 22
    assert kinds(result) == [Incident.ROLLOVER]


def test_a_reset_far_from_the_modulus_is_no_rollover() -> None:
    assert kinds(of(500, 0, 1, 2, 3, 4, limit=Limits(modulus=100_000))) == [Incident.RESET]


def test_a_meter_swap_counts_what_both_meters_saw() -> None:
    swap = Swap(at=T0 + 3 * MINUTE, last=110, first=7)
    result = of(100, 105, 0, 7, 8, 12, decision=OperatorDecision(swaps=(swap,)))
    assert counted(result) == 10 + 5
    assert kinds(result) == []
    higher = Swap(at=T0 + 2 * MINUTE, last=106, first=5000)
    assert (
        counted(of(100, 105, 5000, 5002, limit=Limits(rate=600), decision=OperatorDecision(swaps=(higher,)))) == 6 + 2
    )


def test_huge_registers_are_exact() -> None:
    result = of(2**62 + 1, 0, 1, 2, 2**62 + 3, 0, 1, 2, 3, 2**62 + 5, 0, 0, 0, 0)
    state = result.buckets[0].stats["e"]
    assert correction(state) == 2**62 + 3 + 2**62 + 5
    assert isinstance(state["correction"], float) and state["rest"]
    assert counted(result) == float(2 + 2**62 + 5)


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(-1e18, 1e18))))
def test_totals_split_and_join_exactly(parts: list[Any]) -> None:
    total = sum(map(Fraction, parts), Fraction())
    nearest, rest = split_total(total)
    assert join_total(nearest, rest) == total
    assert nearest == total or nearest == float(total)
