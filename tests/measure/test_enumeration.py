"""Enumerations: the times of codes against a plain recomputation from docs/rollups.md, in any grouping."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.bucket import by_window
from greenpower.measure.enumeration import CodeSample, CodeSet, make_enumeration, merge_enumerations, seconds_of
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import Spec
from greenpower.measure.windows import floor
from tests.every_kind import EVERY_KIND, FAULTS, MODES
from tests.measure.rolled import documents, merge_stored

T0 = datetime(2026, 11, 2, tzinfo=UTC)
END = T0 + timedelta(days=10)
STALE = 60.0
SPEC = Spec.from_datatype(EVERY_KIND)
MODE, BITS = CodeSet(frozenset(MODES)), CodeSet(frozenset(FAULTS), bits=True)
VALUES = st.sampled_from([0, 1, 2, 2, 2, 7, 3, 33, 2.0, 1.5, -1])
STEPS = st.lists(
    st.tuples(st.sampled_from([1_000, 20_000, 60_000, 60_000, 60_000, 145_500, 3_600_000]), VALUES, st.booleans()),
    min_size=1,
    max_size=40,
)
Reading = tuple[datetime, dict[str, float]]


def series(steps: list[tuple[int, float, bool]]) -> list[Reading]:
    """Readings, of which some lack the field."""
    found: list[Reading] = []
    time = T0
    for gap, value, there in steps:
        time += timedelta(milliseconds=gap)
        found.append((time, {"power": 1.0, **({"mode": value, "faults": value} if there else {})}))
    return found


def rolled(readings: list[Reading], **changes: Any) -> Rolled:
    given: dict[str, Any] = {"begin": T0, "end": END, "length": 60, "settled_before": END, "stale_after": STALE}
    return roll([time for time, _ in readings], [payload for _, payload in readings], spec=SPEC, **{**given, **changes})


def plain(readings: list[Reading], field: str, begin: datetime, end: datetime) -> tuple[dict[int, float], float]:
    """Seconds of each code in a window, from the words of the rules: value by value, in whole milliseconds."""
    times: defaultdict[int, int] = defaultdict(int)
    total = 0
    having = [index for index, (_, payload) in enumerate(readings) if field in payload]
    for place, index in enumerate(having):
        time, payload = readings[index]
        gaps = [(readings[n][0] - readings[n - 1][0]).total_seconds() for n in range(max(1, index - 15), index + 1)]
        limit = max(STALE, 2 * median(gaps)) if gaps else STALE
        until = time + timedelta(seconds=limit)
        if place + 1 < len(having):
            until = min(until, readings[having[place + 1]][0])
        part = (min(until, end) - max(time, begin)) // timedelta(milliseconds=1)
        if part <= 0:
            continue
        total += part
        value = payload[field]
        if field == "mode" and value in MODES:
            times[int(value)] += part
        if field == "faults" and value == int(value) and value > 0:
            for bit in FAULTS:
                if int(value) // 2**bit % 2:
                    times[bit] += part
    return {code: part / 1000 for code, part in times.items()}, total / 1000


@given(STEPS, st.sampled_from([60, 600, 21_600]))
def test_codes_hold_as_long_as_the_rules_say_in_windows_of_every_tier(
    steps: list[tuple[int, float, bool]], length: int
) -> None:
    readings = series(steps)
    direct = rolled(readings, length=length)
    parts = documents(rolled(readings).buckets)
    merged = [merge_stored(some, start, SPEC) for start, some in by_window(parts, length).items()]
    for field in ("mode", "faults"):
        assert [bucket.stats.get(field) for bucket in merged] == [bucket.stats.get(field) for bucket in direct.buckets]
        for bucket in direct.buckets:
            if (state := bucket.stats.get(field)) is None:
                continue
            end = bucket.start + timedelta(seconds=length)
            found, total = seconds_of(state, bucket.start, end, over=True)
            assert ({code: part for code, part in found.items() if part}, total) == plain(
                readings, field, bucket.start, end
            )
            inside = [payload[field] for time, payload in readings if bucket.start <= time < end and field in payload]
            assert (state["n"], state["first"], state["last"]) == (len(inside), inside[0], inside[-1])
            assert state["changes"] == sum(a != b for a, b in pairwise(inside))
            assert bucket.payload[field] == inside[-1]


@given(STEPS, st.floats(0, 1))
def test_a_stretch_alone_is_as_in_the_whole(steps: list[tuple[int, float, bool]], where: float) -> None:
    """From the sample before it, and the times of the readings before."""
    readings = series(steps)
    whole = rolled(readings)
    begin = floor(readings[int(where * (len(readings) - 1))][0], 60)
    before = [reading for reading in readings if reading[0] < begin]
    lead = [(time, {"mode": payload["mode"]}) for time, payload in before if "mode" in payload][-1:]
    inside = [reading for reading in readings if reading[0] >= begin]
    alone = rolled(lead + inside, begin=begin, known=[time for time, _ in readings])
    assert [bucket.stats.get("mode") for bucket in alone.buckets] == [
        bucket.stats.get("mode") for bucket in whole.buckets if bucket.start >= begin
    ]


@given(st.lists(st.tuples(st.integers(1, 200_000), VALUES), min_size=1, max_size=12), st.data())
def test_merging_in_any_grouping_is_the_whole(steps: list[tuple[int, float]], data: st.DataObject) -> None:
    for codes in (MODE, BITS):
        time, samples = T0, []
        for gap, value in steps:
            time += timedelta(milliseconds=gap)
            samples.append(CodeSample(value, time, 60_000))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(samples)), max_size=4)) | {len(samples)})
        states, here = [], 0
        for there in cuts:
            before = samples[here - 1] if here else None
            states.append(make_enumeration(samples[here:there], codes, before))
            here = there
        assert merge_enumerations(states) == make_enumeration(samples, codes)
        place = data.draw(st.integers(1, len(states)))
        halves = [merge_enumerations(part) for part in (states[:place], states[place:]) if part]
        assert merge_enumerations(halves) == make_enumeration(samples, codes)


def test_an_open_window_goes_to_its_last_sample() -> None:
    samples = [CodeSample(2, T0 + timedelta(seconds=10), 60_000), CodeSample(0, T0 + timedelta(seconds=30), 60_000)]
    state = make_enumeration(samples, MODE, CodeSample(7, T0 - timedelta(seconds=55), 60_000))
    end = T0 + timedelta(minutes=10)
    assert seconds_of(state, T0, end, over=False) == ({2: 20.0, 7: 5.0}, 25.0)
    assert seconds_of(state, T0, end, over=True) == ({0: 60.0, 2: 20.0, 7: 5.0}, 85.0)
    assert seconds_of(state, T0, T0 + timedelta(seconds=40), over=True) == ({0: 10.0, 2: 20.0, 7: 5.0}, 35.0)
