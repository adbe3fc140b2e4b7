"""Stored blocks: buckets that all have the same fields merge in a short way, which gives the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.datatype import Kind
from greenpower.measure.bucket import by_window, merge_buckets
from greenpower.measure.counter.rules import Limits
from greenpower.measure.enumeration import CodeSet
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec
from tests.measure.rolled import ALWAYS, document

T0 = datetime(2026, 11, 23, tzinfo=UTC)
SPEC = Spec(
    kinds={
        **dict.fromkeys(("g", "h", "i"), Kind.GAUGE), "a": Kind.ANGLE, "s": Kind.STATE, "m": Kind.ENUMERATION,
        "c": Kind.COUNTER,
    },
    limits={"c": Limits(rate=2_000.0)},
    codes={"m": CodeSet(frozenset({0, 1, 7}))},
)  # fmt: skip

decimals = st.builds(lambda whole, places: whole / 10**places, st.integers(-(10**9), 10**9), st.integers(0, 6))
doubles = st.floats(allow_nan=False, allow_infinity=False)
odd = st.sampled_from([0, 0.0, -0.0, 1e300, -1e300, 5e-324, 2**53 + 1, -(2**62), 1e16, 0.1 + 0.2, 100.0, -1])
numbers = st.one_of(decimals, decimals, st.integers(-1000, 1000), doubles, odd)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "i": st.integers(-5, 5), "s": st.integers(0, 3), "m": st.sampled_from([0, 1, 7, 9]), "c": decimals,
}  # fmt: skip


def encoded(stored: Mapping[str, Any]) -> dict[str, Any]:
    """As MongoDB gives it back."""
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)
    return bson.decode(bson.encode(stored), options)


@settings(max_examples=150)
@given(st.data(), st.sampled_from([ALWAYS, T0]), st.sampled_from([[], [*OPTIONAL]]))
def test_buckets_with_the_same_fields_merge_to_the_same_bits(
    data: st.DataObject, settled_before: datetime, optional: list[str]
) -> None:
    payload = st.fixed_dictionaries(
        {"g": numbers, "h": decimals, "a": st.one_of(decimals, doubles)},
        optional={name: OPTIONAL[name] for name in optional},
    )
    steps = data.draw(st.lists(st.tuples(st.sampled_from([5, 60, 60, 60.5, 7_200]), payload), min_size=1, max_size=30))
    times, time = [], T0
    for gap, _ in steps:
        time += timedelta(seconds=gap)
        times.append(time)
    known: dict[str, Any] = {"spec": SPEC, "settled_before": settled_before}
    begin = T0 + timedelta(minutes=data.draw(st.integers(0, 2)))
    payloads = [payload for _, payload in steps]
    buckets = roll(times, payloads, begin=begin, end=ALWAYS, length=60, stale_after=300, known=times, **known).buckets
    fine = [encoded(document(bucket)) for bucket in buckets]
    spec = data.draw(st.sampled_from([SPEC, Spec(kinds={**SPEC.kinds, "h": Kind.ANGLE}, refused=frozenset("i"))]))
    for length in (600, 10_800):
        merged = []
        for start, parts in by_window(fine, length).items():
            given_to = {**known, "spec": spec, "length": length}
            quick = document(merge_buckets(parts, start, **given_to))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("greenpower.measure.bucket.merge_same_fields", lambda *_: None)
                slow = document(merge_buckets(parts, start, **given_to))
            assert repr(quick) == repr(slow)
            merged.append(encoded(quick))
        fine = merged
