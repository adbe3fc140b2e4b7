"""Series of registers that count both ways, against the plain recomputation: any windows, cut and merged anywhere."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given, note, settings
from hypothesis import strategies as st

from greenpower.measure.bucket import by_window
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.quick_look import QuickLook
from tests.measure import plain
from tests.measure.plain_counter import windows
from tests.measure.plain_series import PlainMeter
from tests.measure.rolled import FIELD, T0, documents, merge_stored, rolled, spec_of
from tests.measure.series import NET_EVENTS, Series, events, play
from tests.measure.test_counter_series import EASY, check_incidents, check_slots, check_states, lengths, starts

LOOK_BEFORE, LOOK_AFTER, CARRY_BEHIND, SAMPLES_BEFORE = 1_000, 1_000, 3, 4
net_meters = st.builds(
    PlainMeter,
    kind=st.just("net"),
    rate=st.sampled_from([None, 100_000, 500]),
    floor=st.sampled_from([50, 50, None]),
    stale_after=st.sampled_from([1_020, 60]),
)


@st.composite
def metered(draw: st.DrawFn, most: int = 12) -> tuple[Series, PlainMeter]:
    """A series and what is known of its meter, sometimes with what an operator decided about two of its incidents."""
    meter = draw(net_meters)
    if meter.floor is not None:
        meter = replace(meter, power=draw(st.sampled_from([None, None, 20, 400])))
    series = play(draw(events(NET_EVENTS, min_size=1, max_size=most)), T0 + draw(starts))
    if not draw(st.booleans()):
        series.swaps.clear()
    found = series.counted(meter).incidents
    decides: bool = draw(st.booleans())
    if found and decides:
        decided = draw(st.lists(st.sampled_from(range(len(found))), max_size=2, unique=True))
        verdicts = {found[place].at: draw(st.sampled_from(["confirmed", "rejected"])) for place in decided}
        meter = replace(meter, verdicts=verdicts)
    note(f"{meter}\n{[(str(time - T0), value) for time, value in series.samples]}\n{series.swaps}")
    return series, meter


@settings(max_examples=200, suppress_health_check=EASY)
@given(metered(), lengths)
def test_a_series_equals_the_plain_recomputation(drawn: tuple[Series, PlainMeter], length: int) -> None:
    series, meter = drawn
    wanted = series.counted(meter)
    result = rolled(series, meter, length=length)
    states = {bucket.start: bucket.stats[FIELD] for bucket in result.buckets if FIELD in bucket.stats}
    check_states(states, wanted, length)
    check_slots(result, wanted)
    check_incidents(result, wanted)


@settings(max_examples=100, suppress_health_check=EASY)
@given(metered(8), st.sampled_from([(60, 600), (600, 1_800), (1_800, 10_800)]), st.data())
def test_no_grouping_takes_a_fall_for_a_reset(
    drawn: tuple[Series, PlainMeter], lengths: tuple[int, int], data: st.DataObject
) -> None:
    series, meter = drawn
    fine, coarse = lengths
    wanted = series.counted(meter)
    stored = documents(rolled(series, meter, length=fine).buckets)
    spec = spec_of(meter)
    merged = {start: merge_stored(parts, start, spec) for start, parts in by_window(stored, coarse).items()}
    check_states(
        {start: bucket.stats[FIELD] for start, bucket in merged.items() if FIELD in bucket.stats}, wanted, coarse
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stored)), max_size=3)))
    parts = [stored[begin:end] for begin, end in pairwise([0, *cuts, len(stored)]) if begin < end]
    whole = merge_stored(documents([merge_stored(part, part[0]["timestamp"], spec) for part in parts]), T0, spec)
    if FIELD in whole.stats:
        (state,) = windows(wanted, lambda _: T0).values()
        assert plain.same("counter", whole.stats[FIELD], state)


@settings(max_examples=150, suppress_health_check=EASY)
@given(metered(10), lengths, st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_stretch_computed_alone_equals_the_whole(
    drawn: tuple[Series, PlainMeter], length: int, where: float, how_long: float, few: bool
) -> None:
    """From a register that was stored at some window before; or from four samples before it, where they will do."""
    series, meter = drawn
    whole = rolled(series, meter, length=length, carries={FIELD: None})
    times = [time for time, _ in series.samples]
    begin = plain.window_of(times[int(where * (len(times) - 1))], length)
    end = plain.window_of(max(begin, times[int(how_long * (len(times) - 1))]), length) + timedelta(seconds=length)
    low = bisect_left(times, begin)
    carry = None
    for bucket in whole.buckets:
        state = bucket.stats.get(FIELD)
        if (
            state
            and bucket.start < begin
            and bisect_left(times, begin) - bisect_left(times, state["last_at"]) > (CARRY_BEHIND + len(series.arrivals))
        ):
            carry = Carry(value=state["last"], at=state["last_at"], hold=bucket.holds.get(FIELD))
    first, carries = max(0, low - LOOK_BEFORE), {FIELD: carry}
    if carry is None:
        first = 0
    if few and low >= SAMPLES_BEFORE:
        first, carries = low - SAMPLES_BEFORE, {}
    alone = rolled(
        series,
        meter,
        length=length,
        begin=begin,
        end=end,
        first=first,
        last=bisect_left(times, end) + LOOK_AFTER,
        carries=carries,
    )
    newest: list[datetime] = [bucket.start for bucket in whole.buckets if bucket.start < begin and bucket.holds]
    if FIELD in alone.short or (not carries and newest):
        return
    inside = [bucket for bucket in whole.buckets if begin <= bucket.start < end]
    assert [(bucket.start, bucket.stats, bucket.holds) for bucket in alone.buckets] == [
        (bucket.start, bucket.stats, bucket.holds) for bucket in inside
    ]
    assert {(event.at, event.incident) for event in alone.incidents if event.at >= begin} == {
        (event.at, event.incident) for event in whole.incidents if begin <= event.at < end
    }


@settings(max_examples=150, suppress_health_check=EASY)
@given(metered(10), lengths)
def test_a_quick_look_finds_what_the_rules_find(drawn: tuple[Series, PlainMeter], length: int) -> None:
    series, meter = drawn
    quick = rolled(series, meter, length=length)
    slow = QuickLook.irregular
    QuickLook.irregular = lambda self, values, rules: list(range(1, len(values)))  # type: ignore[method-assign]
    try:
        result = rolled(series, meter, length=length)
    finally:
        QuickLook.irregular = slow  # type: ignore[method-assign]
    assert (result.buckets, result.incidents) == (quick.buckets, quick.incidents)
    assert {name: list(slots) for name, slots in result.slots.items()} == {
        name: list(slots) for name, slots in quick.slots.items()
    }
