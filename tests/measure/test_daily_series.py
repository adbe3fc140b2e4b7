"""Series of registers that begin again each local day, against the plain recomputation: any windows, cut and merged."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, note, settings
from hypothesis import strategies as st

from greenpower.measure.bucket import by_window
from greenpower.measure.counter.hold import Carry
from tests.measure import plain
from tests.measure.plain_counter import windows
from tests.measure.plain_series import PlainMeter
from tests.measure.rolled import FIELD, documents, merge_stored, rolled, spec_of
from tests.measure.series import DAILY_EVENTS, Series, events, play_daily
from tests.measure.test_counter_series import EASY, check_incidents, check_slots, check_states, lengths

LOOK_AFTER, CARRY_BEHIND, SAMPLES_BEFORE = 1_000, 3, 4
#: Zones, with midnights before which clocks are changed: at another hour, at midnight, or not at all.
NIGHTS = (
    (ZoneInfo("Europe/Berlin"), datetime(2026, 10, 24, 21, tzinfo=UTC)),
    (ZoneInfo("Europe/Berlin"), datetime(2026, 3, 28, 21, tzinfo=UTC)),
    (ZoneInfo("Asia/Kathmandu"), datetime(2026, 11, 3, 17, tzinfo=UTC)),
    (ZoneInfo("America/Havana"), datetime(2026, 3, 8, 2, tzinfo=UTC)),
    (ZoneInfo("America/Havana"), datetime(2026, 11, 1, 2, tzinfo=UTC)),
    (ZoneInfo("America/Santiago"), datetime(2026, 9, 6, 1, tzinfo=UTC)),
    (ZoneInfo("Asia/Beirut"), datetime(2026, 3, 28, 19, tzinfo=UTC)),
    (UTC, datetime(2026, 11, 2, 21, tzinfo=UTC)),
)


@st.composite
def metered(draw: st.DrawFn, most: int = 10) -> tuple[Series, PlainMeter, datetime]:
    """A series, what is known of its meter, and when it begins."""
    zone, start = draw(st.sampled_from(NIGHTS))
    floor = draw(st.sampled_from([50, 50, None]))
    meter = PlainMeter(
        kind="daily", zone=zone, floor=floor, rate=draw(st.sampled_from([None, 100_000])), stale_after=1_020
    )
    late = timedelta(minutes=draw(st.sampled_from([0, 0, 7, -12, 40, -50])))
    start += timedelta(minutes=draw(st.sampled_from([0, 52, 120])), seconds=draw(st.sampled_from([0, 7])))
    series = play_daily(draw(events(DAILY_EVENTS, min_size=1, max_size=most)), start, zone, late)
    if not draw(st.booleans()):
        series.swaps.clear()
    found = series.counted(meter).incidents
    decides: bool = draw(st.booleans())
    if found and decides:
        decided = draw(st.lists(st.sampled_from(range(len(found))), max_size=2, unique=True))
        verdicts = {found[place].at: draw(st.sampled_from(["confirmed", "rejected"])) for place in decided}
        meter = replace(meter, verdicts=verdicts)
    note(f"{meter} {late}\n{[(str(time.astimezone(zone)), value) for time, value in series.samples]}\n{series.swaps}")
    return series, meter, start - timedelta(days=2)


@settings(max_examples=200, suppress_health_check=EASY)
@given(metered(), lengths)
def test_a_series_equals_the_plain_recomputation(drawn: tuple[Series, PlainMeter, datetime], length: int) -> None:
    series, meter, begin = drawn
    wanted = series.counted(meter)
    result = rolled(series, meter, length=length, begin=plain.window_of(begin, length), carries={FIELD: None})
    states = {bucket.start: bucket.stats[FIELD] for bucket in result.buckets if FIELD in bucket.stats}
    check_states(states, wanted, length)
    check_slots(result, wanted)
    check_incidents(result, wanted)


@settings(max_examples=100, suppress_health_check=EASY)
@given(metered(8), st.sampled_from([(60, 600), (600, 1_800), (1_800, 10_800)]), st.data())
def test_windows_merged_in_any_way_equal_the_plain_recomputation(
    drawn: tuple[Series, PlainMeter, datetime], lengths: tuple[int, int], data: st.DataObject
) -> None:
    series, meter, begin = drawn
    fine, coarse = lengths
    wanted = series.counted(meter)
    whole_series = rolled(series, meter, length=fine, begin=plain.window_of(begin, fine), carries={FIELD: None})
    stored = documents(whole_series.buckets)
    spec = spec_of(meter)
    merged = {start: merge_stored(parts, start, spec) for start, parts in by_window(stored, coarse).items()}
    check_states(
        {start: bucket.stats[FIELD] for start, bucket in merged.items() if FIELD in bucket.stats}, wanted, coarse
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stored)), max_size=3)))
    parts = [stored[begin:end] for begin, end in pairwise([0, *cuts, len(stored)]) if begin < end]
    whole = merge_stored(documents([merge_stored(part, part[0]["timestamp"], spec) for part in parts]), begin, spec)
    if FIELD in whole.stats:
        (state,) = windows(wanted, lambda _: begin).values()
        assert plain.same("counter", whole.stats[FIELD], state)


@settings(max_examples=150, suppress_health_check=EASY)
@given(metered(8), lengths, st.floats(0, 1), st.floats(0, 1), st.sampled_from([4, 64, 1_000]))
def test_a_stretch_computed_alone_equals_the_whole(
    drawn: tuple[Series, PlainMeter, datetime], length: int, where: float, how_long: float, before: int
) -> None:
    """From a register that was stored at some window before, and samples before it; where they are not enough the
    stretch says so."""
    series, meter, start = drawn
    whole = rolled(series, meter, length=length, begin=plain.window_of(start, length), carries={FIELD: None})
    times = [time for time, _ in series.samples]
    begin = plain.window_of(times[int(where * (len(times) - 1))], length)
    end = plain.window_of(max(begin, times[int(how_long * (len(times) - 1))]), length) + timedelta(seconds=length)
    low = bisect_left(times, begin)
    carry = None
    for bucket in whole.buckets:
        state = bucket.stats.get(FIELD)
        if state and bucket.start < begin and low - bisect_left(times, state["last_at"]) > CARRY_BEHIND:
            carry = Carry(value=state["last"], at=state["last_at"], hold=bucket.holds.get(FIELD))
    first = max(0, low - before)
    carries: dict[str, Carry | None] = {}
    if before > SAMPLES_BEFORE:
        carries = {FIELD: carry}
        first = 0 if carry is None else first
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
    held = [bucket for bucket in whole.buckets if bucket.start < begin and FIELD in bucket.stats][-1:]
    if FIELD in alone.short or (not carries and any(bucket.holds for bucket in held)):
        return
    inside = [bucket for bucket in whole.buckets if begin <= bucket.start < end]
    assert [(bucket.start, bucket.stats, bucket.holds) for bucket in alone.buckets] == [
        (bucket.start, bucket.stats, bucket.holds) for bucket in inside
    ]
    assert {(event.at, event.incident) for event in alone.incidents if event.at >= begin} == {
        (event.at, event.incident) for event in whole.incidents if begin <= event.at < end
    }
