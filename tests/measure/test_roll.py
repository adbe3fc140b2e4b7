"""Buckets of all kinds but counters against the plain recomputation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import Kind
from greenpower.measure.bucket import by_window, merge_buckets
from greenpower.measure.counter.rules import Limits
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import Spec
from tests.measure import plain
from tests.measure.rolled import document, states

T0 = datetime(2026, 11, 23, tzinfo=UTC)
ALWAYS = datetime(2100, 1, 1, tzinfo=UTC)
SPEC = Spec(
    kinds={"g": Kind.GAUGE, "a": Kind.ANGLE, "s": Kind.STATE, "c": Kind.COUNTER},
    limits={"c": Limits(rate=500, modulus=1000)},
)

numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(-1e15, 1e15))
values = st.fixed_dictionaries(
    {},
    optional={
        "g": st.one_of(numbers, st.sampled_from([None, "7", True, float("nan"), float("inf")])),
        "a": st.floats(-360, 360),
        "s": st.integers(0, 2**33),
        "c": st.one_of(st.integers(0, 99), st.floats(0, 999)),
        "x": st.floats(-1, 1),
    },
)
readings = st.lists(st.tuples(st.integers(1, 400), values), max_size=30).map(
    lambda steps: [
        (T0 + timedelta(seconds=sum(seconds for seconds, _ in steps[: index + 1])), payload)
        for index, (_, payload) in enumerate(steps)
    ]
)


def rolled(found: Sequence[plain.Reading], length: int) -> Rolled:
    return roll(
        [time for time, _ in found],
        [dict(payload) for _, payload in found],
        begin=T0,
        end=T0 + timedelta(days=1),
        length=length,
        spec=SPEC,
        settled_before=ALWAYS,
        accepted=frozenset({"x"}),
    )


def valid(found: list[plain.Reading], name: str) -> list[plain.Sample]:
    return [
        (time, payload[name])
        for time, payload in found
        if type(payload.get(name)) in (int, float) and abs(payload[name]) < 1e300
    ]


WANTED: dict[str, Any] = {
    "g": ("gauge", plain.gauge),
    "x": ("gauge", plain.gauge),
    "a": ("angle", plain.angle),
    "s": ("state", plain.last),
}


def check(stats: dict[datetime, dict[str, Any]], found: list[plain.Reading], length: int) -> None:
    for name, (kind, compute) in WANTED.items():
        wanted = compute(valid(found, name), length)
        mine = {start: states[name] for start, states in stats.items() if name in states}
        assert mine.keys() == wanted.keys()
        assert all(plain.same(kind, mine[start], wanted[start]) for start in wanted), (name, mine, wanted)


@given(readings, st.sampled_from([60, 600, 3600]))
def test_buckets_equal_the_plain_recomputation(found: list[plain.Reading], length: int) -> None:
    buckets = rolled(found, length).buckets
    check({bucket.start: states(document(bucket)) for bucket in buckets}, found, length)
    for bucket in buckets:
        inside = [time for time, _ in found if plain.window_of(time, length) == bucket.start]
        assert (bucket.count, bucket.first, bucket.last) == (len(inside), inside[0], inside[-1])


@given(readings, st.sampled_from([(60, 600), (60, 1800), (600, 3600)]))
def test_merged_buckets_equal_the_plain_recomputation(found: list[plain.Reading], lengths: tuple[int, int]) -> None:
    fine, coarse = lengths
    stored = [document(bucket) for bucket in rolled(found, fine).buckets]
    merged = [
        merge_buckets(parts, start, SPEC, length=coarse, settled_before=ALWAYS)
        for start, parts in by_window(stored, coarse).items()
    ]
    check({bucket.start: states(document(bucket)) for bucket in merged}, found, coarse)
    direct = rolled(found, coarse).buckets
    assert [(b.start, b.count, b.first, b.last) for b in merged] == [
        (b.start, b.count, b.first, b.last) for b in direct
    ]


def test_only_accepted_fields_are_rolled_up() -> None:
    found = [(T0, {"g": 1, "new": 2}), (T0 + timedelta(seconds=1), {"new": 3})]
    result = rolled(found, 60)
    assert result.unknown == {"new"}
    assert result.buckets[0].payload.keys() == {"g"}


def test_a_state_of_another_kind_is_left_out() -> None:
    known: Any = {"length": 60, "settled_before": ALWAYS}
    (bucket,) = rolled([(T0, {"c": 1, "g": 4, "a": 3}), (T0 + timedelta(seconds=1), {"g": 5})], 60).buckets
    stored = document(bucket)
    assert states(stored).keys() == {"c", "g", "a"}
    other = Spec(kinds={"c": Kind.GAUGE, "g": Kind.ANGLE, "a": Kind.ANGLE})
    assert states(document(merge_buckets([stored], T0, other, **known))).keys() == {"a"}
    refusing = Spec(kinds={**SPEC.kinds}, refused=frozenset({"g"}))
    merged = merge_buckets([stored], T0, refusing, **known)
    assert states(document(merged)).keys() == merged.payload.keys() == {"c", "a"}
