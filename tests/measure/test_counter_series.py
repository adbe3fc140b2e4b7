"""Series to which everything happens, against the plain recomputation: any windows, cut and merged anywhere."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from greenpower.measure.bucket import by_window
from greenpower.measure.counter.hold import Carry
from greenpower.measure.roll import Rolled
from greenpower.measure.slot import QUARTER_SECONDS, UNSETTLED
from tests.measure import plain
from tests.measure.plain_count import PlainCount, PlainIncident
from tests.measure.plain_counter import windows
from tests.measure.plain_series import PlainMeter
from tests.measure.rolled import FIELD, T0, documents, merge_stored, rolled, spec_of
from tests.measure.series import Event, Series, events, meters, play

QUARTER = timedelta(seconds=QUARTER_SECONDS)
#: Around a stretch, as the runs of the tiers give it.
LOOK_BEFORE, LOOK_AFTER, CARRY_BEHIND = 1_000, 1_000, 3
EASY = list(HealthCheck)
starts = st.sampled_from([timedelta(), timedelta(seconds=7), timedelta(minutes=52, milliseconds=350)])
lengths = st.sampled_from([60, 600, 1_800, 10_800])


@st.composite
def metered(draw: st.DrawFn, most: int = 14) -> tuple[Series, PlainMeter]:
    """A series and what is known of its meter, sometimes with what an operator decided about two of its incidents."""
    meter = draw(meters)
    happened = draw(events(min_size=1, max_size=most))
    series = play(happened, T0 + draw(starts), scale=1_000 if meter.floor == 50_000 else 1)
    if not draw(st.booleans()):
        series.swaps.clear()
    if draw(st.booleans()):
        found = series.counted(meter).incidents
        if found:
            decided = draw(st.lists(st.sampled_from(range(len(found))), max_size=2, unique=True))
            verdicts = {found[place].at: draw(st.sampled_from(["confirmed", "rejected"])) for place in decided}
            meter = replace(meter, verdicts=verdicts)
    note(f"{meter}\n{[(str(time - T0), value) for time, value in series.samples]}\n{series.swaps}")
    return series, meter


def check_states(found: dict[datetime, Any], wanted: PlainCount, length: int) -> None:
    """States by window against those of the plain recomputation."""
    by_hand = windows(wanted, lambda time: plain.window_of(time, length))
    assert found.keys() == by_hand.keys()
    for start, state in by_hand.items():
        assert plain.same("counter", found[start], state), (found[start], state)


def check_slots(result: Rolled, wanted: PlainCount) -> None:
    """Every quarter-hour against the plain recomputation."""
    slots = result.slots.get(FIELD, [])
    assert sum(slot.n for slot in slots) == len(wanted.steps)
    assert all(before.start < after.start for before, after in pairwise(slots))
    for slot in slots:
        stretch = slot.start, slot.start + QUARTER
        assert (slot.energy, slot.n) == (wanted.energy(*stretch) or 0, wanted.samples(*stretch)), slot
        assert slot.silence_s == wanted.silence(*stretch), slot
        assert slot.last == wanted.register_before(slot.start + QUARTER), slot


def as_told(found: PlainIncident) -> tuple[str, datetime, datetime | None, bool]:
    return found.kind, found.at, found.until, found.status == "open"


def check_incidents(result: Rolled, wanted: PlainCount) -> None:
    """What happened, when it began and ended, and whether an operator has to decide it."""
    decided = {incident.at for incident in wanted.incidents if incident.status in ("confirmed", "rejected")}
    told = [
        (str(event.incident), event.at, event.until, event.open and event.at not in decided)
        for event in result.incidents
        if event.incident != "swap"
    ]
    assert sorted(told, key=str) == sorted(map(as_told, wanted.incidents), key=str)


@settings(max_examples=1_000, suppress_health_check=EASY)
@given(metered(), lengths)
def test_a_series_equals_the_plain_recomputation(drawn: tuple[Series, PlainMeter], length: int) -> None:
    series, meter = drawn
    wanted = series.counted(meter)
    result = rolled(series, meter, length=length)
    states = {bucket.start: bucket.stats[FIELD] for bucket in result.buckets if FIELD in bucket.stats}
    check_states(states, wanted, length)
    check_slots(result, wanted)
    check_incidents(result, wanted)
    if states:
        newest = max((bucket for bucket in result.buckets if FIELD in bucket.stats), key=lambda bucket: bucket.start)
        hold = newest.holds.get(FIELD)
        assert (hold is None) == (wanted.hold is None)
        if hold is not None and wanted.hold is not None:
            assert (hold.level, hold.at, hold.steps) == (wanted.hold.level, wanted.hold.at, wanted.hold.steps)


@settings(max_examples=300, suppress_health_check=EASY)
@given(metered(8), st.sampled_from([(60, 600), (600, 1_800), (1_800, 10_800), (60, 10_800)]), st.data())
def test_windows_merged_in_any_way_equal_the_plain_recomputation(
    drawn: tuple[Series, PlainMeter], lengths: tuple[int, int], data: st.DataObject
) -> None:
    series, meter = drawn
    fine, coarse = lengths
    wanted = series.counted(meter)
    stored = documents(rolled(series, meter, length=fine).buckets)
    spec = spec_of(meter)
    merged = {start: merge_stored(parts, start, spec) for start, parts in by_window(stored, coarse).items()}
    states = {start: bucket.stats[FIELD] for start, bucket in merged.items() if FIELD in bucket.stats}
    check_states(states, wanted, coarse)
    if not stored:
        return
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stored)), max_size=3)))
    parts = [stored[begin:end] for begin, end in pairwise([0, *cuts, len(stored)]) if begin < end]
    halves = documents([merge_stored(part, part[0]["timestamp"], spec) for part in parts])
    whole = merge_stored(halves, T0, spec)
    if FIELD in whole.stats:
        (state,) = windows(wanted, lambda _: T0).values()
        assert plain.same("counter", whole.stats[FIELD], state)


@settings(max_examples=300, suppress_health_check=EASY)
@given(metered(10), lengths, st.floats(0, 1), st.floats(0, 1))
def test_a_stretch_computed_alone_equals_the_whole(
    drawn: tuple[Series, PlainMeter], length: int, where: float, how_long: float
) -> None:
    """From a register that was stored at some window before, and the samples around the stretch."""
    series, meter = drawn
    whole = rolled(series, meter, length=length)
    times = [time for time, _ in series.samples]
    begin = plain.window_of(times[int(where * (len(times) - 1))], length)
    end = plain.window_of(max(begin, times[int(how_long * (len(times) - 1))]), length) + timedelta(seconds=length)
    carry = _carry(whole, times, begin, length)
    first = max(0, bisect_left(times, begin) - LOOK_BEFORE)
    if carry is not None:
        first = min(first, bisect_left(times, carry.at))
    alone = rolled(
        series,
        meter,
        length=length,
        begin=begin,
        end=end,
        first=first,
        last=bisect_left(times, end) + LOOK_AFTER,
        carries={FIELD: carry},
    )
    inside = [bucket for bucket in whole.buckets if begin <= bucket.start < end]
    assert [(bucket.start, bucket.stats, bucket.holds) for bucket in alone.buckets] == [
        (bucket.start, bucket.stats, bucket.holds) for bucket in inside
    ]
    told = [slot for slot in whole.slots.get(FIELD, []) if begin <= slot.start < end]
    # Windows shorter than a quarter-hour may cut one.
    if length % QUARTER_SECONDS == 0:
        assert alone.slots.get(FIELD, []) == told
    assert {(event.at, event.incident) for event in alone.incidents if event.at >= begin} == {
        (event.at, event.incident) for event in whole.incidents if begin <= event.at < end
    }


def _carry(whole: Rolled, times: list[datetime], begin: datetime, length: int) -> Carry | None:
    """The newest stored register with at least three samples between it and the stretch."""
    low = bisect_left(times, begin)
    for bucket in reversed(whole.buckets):
        state = bucket.stats.get(FIELD)
        if state is None or bucket.start + timedelta(seconds=length) > begin:
            continue
        if low - bisect_left(times, bucket.last + timedelta(microseconds=1)) >= CARRY_BEHIND:
            return Carry(value=state["last"], at=state["last_at"], hold=bucket.holds.get(FIELD))
    return None


@settings(max_examples=300, suppress_health_check=EASY)
@given(metered(10), lengths, st.floats(0, 1))
def test_what_is_settled_stays(drawn: tuple[Series, PlainMeter], length: int, part: float) -> None:
    """Samples that come later change no window, no quarter-hour and no incident that was settled."""
    series, meter = drawn
    cut = int(part * len(series.samples))
    # A burst that is not over yet may turn into another step.
    while cut < len(series.samples) and series.samples[cut][0] in series.arrivals:
        cut += 1
    before = rolled(series, meter, length=length, last=cut)
    after = rolled(series, meter, length=length)
    later = {bucket.start: bucket for bucket in after.buckets}
    for bucket in before.buckets:
        if bucket.settled and bucket is not before.buckets[-1]:
            assert later[bucket.start].stats == bucket.stats
    slots = {slot.start: slot for slot in after.slots.get(FIELD, [])}
    for slot in before.slots.get(FIELD, [])[:-1]:
        if not slot.flags & UNSETTLED:
            # Whether something is to be decided there may be known later.
            assert replace(slots[slot.start], flags=0) == replace(slot, flags=0)
    told = {(event.at, event.incident) for event in after.incidents}
    assert {(event.at, event.incident) for event in before.incidents if event.settled} <= told


def test_events_reach_every_kind_of_incident() -> None:
    """The series are no proof of what never happens in them."""
    meter = PlainMeter(rate=100_000, floor=50, modulus=1_000, stale_after=1_020)
    names = {
        "suspect_step": [Event("rise", 8, 0), Event("level", 8, 301)],
        "suspect_restart": [Event("rise", 8, 0), Event("level", 8, 300)],
        "dip": [Event("rise", 8, 0), Event("zeros", 2, 0), Event("rise", 8, 0)],
        "spike": [Event("rise", 8, 0), Event("spike", 1, 500), Event("rise", 8, 0)],
        "small_fall": [Event("rise", 8, 0), Event("small_fall", 1, 3), Event("rise", 8, 0)],
        "reset": [Event("rise", 8, 0), Event("reset", 8, 1)],
        "rollover": [Event("rise", 8, 0), Event("rollover", 8, 0)],
        "unit_change": [Event("rise", 8, 0), Event("unit", 8, 0)],
        "fall": [Event("rise", 8, 0), Event("reset", 1, 0), Event("flat", 8, 0)],
    }
    for kind, happened in names.items():
        found = {incident.kind for incident in play(happened, T0).counted(meter).incidents}
        assert kind in found, (kind, found)
