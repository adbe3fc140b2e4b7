"""Estimates agree with a plain recomputation, and the total of a silence stays."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenpower.measure.adjustment.estimate import Estimate, EstimateMethod
from greenpower.measure.adjustment.quarters import (
    FIRST_TIME,
    LAST_TIME,
    Adjustment,
    lengths,
    quarter_of,
    split,
    start_of_quarter,
)
from greenpower.measure.slot import OPEN
from tests.measure.adjustment.plain_adjustment import MINUTE, QUARTER, Sample, at, make_slots, plain_estimate

KATHMANDU, BERLIN = ZoneInfo("Asia/Kathmandu"), ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = at("2026-03-02T00:00")


def series(begin: datetime, days: float, step: timedelta = QUARTER, seed: int = 0) -> list[Sample]:
    """A register that counts something else in each step, more by day than by night."""
    source, register, samples, here = random.Random(seed), 10**9, [], begin
    while here < begin + days * DAY:
        register += source.randrange(1, 60_000) * (1 + 5 * (8 <= here.hour < 18))
        samples.append((here, register))
        here += step
    return samples


def without(samples: list[Sample], begin: datetime, end: datetime) -> list[Sample]:
    return [sample for sample in samples if not begin <= sample[0] < end]


def evaluate(
    samples: list[Sample],
    begin: datetime,
    end: datetime,
    zone: ZoneInfo | None = None,
    energy: int | None = None,
    until: datetime | None = None,
) -> Adjustment:
    method = EstimateMethod.EVENLY if zone is None else EstimateMethod.WEEKDAYS
    estimate = Estimate(begin=begin, end=end, method=method, energy=energy, zone=zone or KATHMANDU, stale_after=1200)
    return estimate.evaluate(make_slots(samples), None, until or samples[-1][0] + MINUTE)


def check(samples: list[Sample], begin: datetime, end: datetime, zone: ZoneInfo | None = None) -> Adjustment:
    """Hold an estimate against the plain one: whole counts, so each share may be one off; their sum is exact."""
    found = evaluate(samples, begin, end, zone)
    plain = plain_estimate(samples, begin, end, zone)
    assert {start_of_quarter(number) for number in found.energy} == plain.keys()
    ends = {place for place, value in plain.items() if value < 0}
    for number, energy in found.energy.items():
        if start_of_quarter(number) not in ends:
            assert abs(energy - plain[start_of_quarter(number)]) < 2, start_of_quarter(number)
    assert sum(found.energy.values()) == 0
    return found


@pytest.mark.parametrize("zone", [None, KATHMANDU, BERLIN], ids=str)
@pytest.mark.parametrize(
    "begin,end",
    [
        ("2026-03-30T18:00", "2026-03-31T09:00"),  # the whole of the silence
        ("2026-03-30T18:15", "2026-03-31T08:15"),  # begins in it
        ("2026-03-30T22:00", "2026-03-31T02:00"),  # a part of it
        ("2026-03-29T00:00", "2026-04-02T00:00"),  # more than it
    ],
)
@pytest.mark.parametrize("step", [QUARTER, timedelta(minutes=7)], ids=str)
def test_a_silence_is_spread_as_the_plain_way_does(
    zone: ZoneInfo | None, begin: str, end: str, step: timedelta
) -> None:
    samples = without(series(MONDAY, 32, step), at("2026-03-30T18:07"), at("2026-03-31T08:01"))
    samples = without(samples, at("2026-03-16T03:00"), at("2026-03-16T11:00"))
    assert check(samples, at(begin), at(end), zone).energy


@pytest.mark.parametrize("zone", [None, BERLIN], ids=str)
@pytest.mark.parametrize("begin", ["2026-03-28T22:30", "2026-10-24T22:00"])
def test_over_a_change_of_clocks(zone: ZoneInfo | None, begin: str) -> None:
    start = at(begin)
    samples = without(series(start - 20 * DAY, 23), start, start + 9 * HOUR)
    check(samples, start - HOUR, start + 10 * HOUR, zone)


def test_several_silences_each_keep_their_own_energy() -> None:
    samples = series(MONDAY, 12)
    for hour in (250, 256, 270):
        samples = without(samples, MONDAY + hour * HOUR, MONDAY + (hour + 4) * HOUR)
    check(samples, MONDAY + 240 * HOUR, MONDAY + 280 * HOUR, KATHMANDU)
    check(samples, MONDAY + 240 * HOUR, MONDAY + 280 * HOUR)


def test_two_halves_of_a_span_do_what_the_whole_does() -> None:
    samples = without(series(MONDAY, 12), MONDAY + 250 * HOUR, MONDAY + 274 * HOUR)
    begin, middle, end = (MONDAY + n * HOUR for n in (249, 260, 276))
    halves = [evaluate(samples, *span).energy for span in ((begin, middle), (middle, end))]
    whole = evaluate(samples, begin, end).energy
    for number, energy in whole.items():
        assert energy == sum(half.get(number, 0) for half in halves)


def test_the_seconds_of_silence_move_too() -> None:
    samples = without(series(MONDAY, 3), MONDAY + 30 * HOUR, MONDAY + 40 * HOUR)
    found = evaluate(samples, MONDAY + 29 * HOUR, MONDAY + 41 * HOUR)
    assert found.silence == {quarter_of(MONDAY + 40 * HOUR): -(10 * 3600 + 900)}


def test_without_a_sample_after_it_weekdays_expect_and_evenly_give_what_was_given() -> None:
    samples = [(MONDAY + n * QUARTER, n * 1000 * (1 + n % 3)) for n in range(96 * 8)]
    last = samples[-1][0]
    begin, end, until = last + QUARTER, last + DAY, last + 3 * HOUR
    found = evaluate(samples, begin, end, KATHMANDU, until=until)
    week = {quarter_of(start): slot.energy for slot in make_slots(samples) for start in [slot.start]}
    assert found.energy == {number: week[number - 7 * 96] for number in found.energy}
    assert [*found.energy] == [*range(quarter_of(begin), quarter_of(until))]
    assert not found.ended and found.needs_end == LAST_TIME
    given = evaluate(samples, begin, end, energy=1_000_003, until=until)
    assert sum(given.energy.values()) == 1_000_003 and len(given.energy) == 95
    assert evaluate(samples, begin, end, until=until).energy == {}
    # Nothing is missing yet.
    assert evaluate(samples, begin, end, KATHMANDU, until=last + timedelta(seconds=1200)).energy == {}
    # The register shows it then, and the guess is gone.
    after = [*samples, (end + HOUR, samples[-1][1] + 77)]
    assert sum(evaluate(after, begin, end, energy=1_000_003).energy.values()) == 0


def test_nothing_to_compare_with_is_spread_evenly() -> None:
    samples = without(series(MONDAY, 2), MONDAY + QUARTER, MONDAY + 30 * HOUR)
    span = (MONDAY, MONDAY + 31 * HOUR)
    assert evaluate(samples, *span, KATHMANDU).energy == evaluate(samples, *span).energy


def test_a_register_that_may_fall_gets_what_is_expected_and_the_rest_evenly() -> None:
    """Two signs among the quarter-hours: in proportion to their sum, which is near 0, they would be anything."""
    register, samples = 10**9, []
    for n in range(96 * 15):
        register += 50_000 if n % 96 < 48 else -49_000
        samples.append((MONDAY + n * QUARTER, register))
    samples = without(samples, MONDAY + 14 * DAY, MONDAY + 14 * DAY + 20 * HOUR)
    found = evaluate(samples, MONDAY + 14 * DAY, MONDAY + 15 * DAY, KATHMANDU)
    assert sum(found.energy.values()) == 0
    shares = [energy for number, energy in found.energy.items() if number < quarter_of(MONDAY + 14 * DAY + 20 * HOUR)]
    assert max(shares) < 60_000 and min(shares) > -60_000 and min(shares) < 0


def test_quarter_hours_with_an_open_incident_or_another_correction_are_no_reference() -> None:
    samples = [(MONDAY + n * QUARTER, n * 1000) for n in range(96 * 15)]
    samples = without(samples, MONDAY + 14 * DAY, MONDAY + 14 * DAY + 4 * HOUR)
    slots = make_slots(samples)
    for slot in slots:
        if slot.start == MONDAY + 7 * DAY + HOUR:
            slot.energy, slot.flags = 0, OPEN
        if slot.start == MONDAY + 7 * DAY + 2 * HOUR:
            slot.energy = 10**9
    estimate = Estimate(
        begin=MONDAY + 14 * DAY,
        end=MONDAY + 15 * DAY,
        method=EstimateMethod.WEEKDAYS,
        energy=None,
        zone=BERLIN,
        stale_after=1200,
    )
    span = (MONDAY + 7 * DAY + 2 * HOUR, MONDAY + 7 * DAY + 3 * HOUR)
    energies = estimate.evaluate(slots, None, MONDAY + 16 * DAY, left_out=[span]).energy.values()
    assert {energy for energy in energies if energy > 0} == {1000}


def test_it_depends_on_the_samples_on_both_sides() -> None:
    samples = without(series(MONDAY, 3), MONDAY + 30 * HOUR, MONDAY + 40 * HOUR)
    found = evaluate(samples, MONDAY + 32 * HOUR, MONDAY + 35 * HOUR)
    assert (found.needs_begin, found.needs_end) == (MONDAY + 30 * HOUR - QUARTER, MONDAY + 40 * HOUR + QUARTER)
    first = evaluate(samples, MONDAY - HOUR, MONDAY + HOUR)
    assert (first.needs_begin, first.needs_end) == (FIRST_TIME, MONDAY + HOUR + QUARTER)


def test_splitting_gives_all_of_it() -> None:
    source = random.Random(1)
    for _ in range(300):
        weights = [source.randrange(0, 1000) for _ in range(source.randrange(1, 50))] + [1]
        total = source.randrange(-(10**9), 10**9)
        parts = split(total, weights)
        assert sum(parts) == total
        assert all(abs(part - total * weight / sum(weights)) < 2 for part, weight in zip(parts, weights, strict=True))
    begin = datetime(2026, 3, 2, 0, 7, 0, 250_000, tzinfo=UTC)
    assert sum(length for _, length in lengths(begin, begin + 3 * HOUR)) == 3 * 3_600_000
