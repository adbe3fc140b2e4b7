"""Series by which systems of this kind were seen to go wrong, with the right totals, and variations of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenpower.measure.counter.rules import Incident, Limits, OperatorDecision
from greenpower.measure.spec import FLOOR_KW
from tests.measure.counter.world import KWH, T0, at_interval, kinds, open_incidents, rolled, total

INTERVALS = pytest.mark.parametrize("seconds", [60, 900, 3_600])
# What the register did before: nothing, or a day as usual, at the rate of the case.
HISTORY = pytest.mark.parametrize("before", [0, 1, 3, 20])


def led_to(values: list[Any], step: float, before: int) -> list[Any]:
    """Usual rises before a series."""
    return [round(values[0] - step * (before - index), 6) for index in range(before)] + values


def check(values: list[Any], seconds: float, wanted: float, incidents: list[Incident], **more: Any) -> None:
    result = rolled(at_interval(len(values), seconds), values, **more)
    assert total(result) == pytest.approx(wanted, abs=2e-6)
    assert kinds(result) == incidents


@INTERVALS
@pytest.mark.parametrize("count", [2, 3, 4, 13, 200])
@pytest.mark.parametrize("rise", [5, 0.1, 40])
def test_a_burst_at_the_begin_counts_from_its_first_to_its_last(count: int, rise: float, seconds: float) -> None:
    burst = [round(1000 + rise * number, 6) for number in range(count)]
    after = [burst[-1] + number for number in range(1, 5)]
    times = at_interval(count, 0.02) + at_interval(4, seconds, T0 + timedelta(seconds=seconds + 10))
    arrivals = [True] * count + [False] * 4
    for upto in (count, count + 4):
        result = rolled(times[:upto], (burst + after)[:upto], arrivals=arrivals[:upto])
        assert total(result) == pytest.approx(rise * (count - 1) + upto - count)
        assert kinds(result) == []


@pytest.mark.parametrize("place", [1, 2, 7])
@pytest.mark.parametrize("count", [2, 3, 13, 100])
def test_a_burst_within_a_series_is_one_step(place: int, count: int) -> None:
    usual = [1000 + number for number in range(place)]
    burst = [1000 + place + number for number in range(count)]
    after = [burst[-1] + number for number in range(1, 5)]
    outage = T0 + timedelta(seconds=900 * (place + count))
    times = at_interval(place, 900) + at_interval(count, 0.9, outage)
    times += at_interval(4, 900, times[-1] + timedelta(seconds=900))
    result = rolled(times, usual + burst + after, arrivals=[True] * len(times))
    assert total(result) == place + count - 1 + 4
    assert kinds(result) == []
    assert sum(bucket.stats["e"]["n"] for bucket in result.buckets) == place + 1 + 4


@INTERVALS
@HISTORY
@pytest.mark.parametrize("zeros", [4, 6, 30])
@pytest.mark.parametrize("level", [3500.5, 12.25, 91_234.5])
def test_zeros_for_hours_end_where_the_register_was(zeros: int, level: float, before: int, seconds: float) -> None:
    back = level + 0.25 * (zeros + 1)
    values = led_to([level, level + 0.5], 0.5, before) + [0] * zeros + [back + 0.5, back + 1, back + 1.5]
    counted = 0.5 * before + 0.25 * (zeros + 1) + 1.5
    check(values, seconds, counted, [Incident.DIP])


@INTERVALS
@HISTORY
@pytest.mark.parametrize("zeros", [1, 2, 3])
def test_a_few_zeros_are_left_out(zeros: int, before: int, seconds: float) -> None:
    values = led_to([3.737, 3.737], 0.009, before) + [0.0] * zeros + [3.746, 3.75]
    check(values, seconds, 0.013 + 0.009 * before, [Incident.DIP] * zeros)


@INTERVALS
@HISTORY
@pytest.mark.parametrize("high", [3552.0, 700.5, 1e9, 1e300])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_high_samples_are_left_out(count: int, high: float, before: int, seconds: float) -> None:
    values = led_to([354.8, 355.0], 0.2, before) + [high] * count + [355.4, 355.6, 355.8, 356.0]
    check(values, seconds, 1.2 + 0.2 * before, [Incident.SPIKE] * count)


@INTERVALS
@pytest.mark.parametrize("first", [9999.0, 104, 1e12, 3.3e9])
def test_a_first_sample_that_is_wrong_is_left_out(first: float, seconds: float) -> None:
    check([first, 101.0, 101.5, 102.0, 102.5, 103.0], seconds, 2.0, [Incident.SPIKE])


@INTERVALS
@HISTORY
@pytest.mark.parametrize("level", [544.587493, 12.999_9, 91_000.75])
def test_a_small_fall_counts_nothing(level: float, before: int, seconds: float) -> None:
    low = level * 0.999
    values = led_to([level, level], 0.01, before) + [low] * 6 + [low + 0.013, low + 0.023]
    check(values, seconds, 0.023 + 0.01 * before, [Incident.SMALL_FALL])
    assert open_incidents(rolled(at_interval(len(values), seconds), values)) == []


@INTERVALS
@HISTORY
@pytest.mark.parametrize(("level", "other"), [(5423.7, 31.2), (80.0, 60.0), (91_000.0, 4_000.0), (300.0, 9_000.0)])
def test_another_meter_counts_its_own_rises(level: float, other: float, before: int, seconds: float) -> None:
    new = [round(other + 0.1 * number, 6) for number in range(6)]
    values = [*led_to([level, level + 0.2], 0.2, before), *new]
    kind = Incident.RESTART if other < level else Incident.STEP
    check(values, seconds, 0.7 + 0.2 * before, [kind])
    assert open_incidents(rolled(at_interval(len(values), seconds), values)) == [kind]


@INTERVALS
@pytest.mark.parametrize("before", [0, 3, 20])
@pytest.mark.parametrize("power", [1000, 100, 10**6])
def test_another_unit_counts_nothing_until_it_is_decided(power: int, before: int, seconds: float) -> None:
    values = led_to([12.5, 12.6, 12.7], 0.1, before)
    values += [power * (12.8 + 0.1 * number) for number in range(9)]
    check(values, seconds, 0.2 + 0.1 * before, [Incident.UNIT_CHANGE])
    back = [*values, 13.7, 13.8, 13.9]
    check(back, seconds, 0.2 + 0.1 * before + 1.2, [Incident.DIP])
    down = [power * value for value in led_to([12.5, 12.6, 12.7], 0.1, before)]
    down += [12.8 + 0.1 * number for number in range(9)]
    check(down, seconds, power * (0.2 + 0.1 * before), [Incident.UNIT_CHANGE], limit=Limits(floor=50 * power))


@INTERVALS
@pytest.mark.parametrize("count", [6, 8, 40])
@pytest.mark.parametrize("flats", [0, 1, 5])
def test_a_net_register_counts_nothing(count: int, flats: int, seconds: float) -> None:
    values = [round(100 - 0.1 * number, 3) for number in range(count) for _ in range(flats + 1)]
    check(values, seconds, 0, [Incident.SMALL_FALL])
    assert open_incidents(rolled(at_interval(len(values), seconds), values)) == [Incident.SMALL_FALL]


@INTERVALS
@HISTORY
@pytest.mark.parametrize("end", [838.8607, 9_999.9, 99_999.999])
def test_a_register_that_passes_its_end(end: float, before: int, seconds: float) -> None:
    values = [*led_to([end - 0.0607, end - 0.0207], 0.04, before), 0.01, 0.05, 0.1, 0.15]
    check(values, seconds, 0.19 + 0.04 * before, [Incident.RESET])
    declared = Limits(floor=FLOOR_KW, modulus=end)
    check(values, seconds, 0.2107 + 0.04 * before, [Incident.ROLLOVER], limit=declared)


@INTERVALS
@HISTORY
@pytest.mark.parametrize("last", [6.3, 61.0, 0.9])
def test_a_daily_register_bounces(last: float, before: int, seconds: float) -> None:
    values = [*led_to([last - 0.2, last], 0.2, before), 0.0, last, 0.1, 0.2, 0.3, 0.4]
    check(values, seconds, 0.6 + 0.2 * before, [Incident.DIP, Incident.RESET])


@pytest.mark.parametrize("days", [1, 21, 40, 300])
@pytest.mark.parametrize("limit", [KWH, Limits(), Limits(rate=100)])
def test_what_was_counted_in_a_silence_is_in_the_next_sample(days: int, limit: Limits) -> None:
    later = T0 + timedelta(days=days, hours=5)
    times = at_interval(8, 900) + at_interval(8, 900, later)
    values = [300 + number for number in range(8)] + [1307 + number for number in range(8)]
    result = rolled(times, values, limit=limit, stale_after=1_020)
    assert total(result) == 7 + 1000 + 7
    [slot] = [slot for slot in result.slots["e"] if slot.silence_s]
    assert (slot.energy, slot.silence_s) == (1000 * 10**6, (later - times[7]).total_seconds())


def test_integer_registers_at_short_intervals_count_everything() -> None:
    ticks = [5_000 + index // 144 for index in range(3_000)]
    check(ticks, 5, ticks[-1] - ticks[0], [])
    even_faster = [5_000 + index // 3 for index in range(600)]
    check(even_faster, 60, even_faster[-1] - even_faster[0], [])


def test_large_loads_and_chargers_count_everything() -> None:
    ticks = [100 * (index // 80) for index in range(2_000)]  # 100 kWh at 300 kW
    check(ticks, 15, ticks[-1], [])
    register, charger = 100.0, []
    for minute in range(600):
        register += (0.2 if minute % 200 < 120 else 22) / 60
        charger.append(round(register, 3))
    check(charger, 60, charger[-1] - charger[0], [])
    night = [round(40 + 0.05 * max(0, index % 96 - 48), 3) for index in range(96)]
    sun = [*night, *[night[-1]] * 60, *[round(night[-1] + 1.2 * number, 3) for number in range(48)]]
    check(sun, 900, sun[-1] - sun[0], [])


def test_a_new_rate_that_is_steady_confirms_itself() -> None:
    rate = [round(100 + 0.1 * number, 3) for number in range(20)]
    rate += [round(rate[-1] + 40 * number, 3) for number in range(1, 9)]
    check(rate, 900, rate[-1] - rate[0], [])


def test_operators_decide() -> None:
    times = at_interval(12, 900)
    step = [100, 101, 102, *[5_000 + number for number in range(9)]]
    assert total(rolled(times, step)) == 10
    for real, wanted in ((True, 10 + 4898), (False, 10)):
        found = rolled(times, step, decision=OperatorDecision(verdicts={times[3]: real}))
        assert total(found) == wanted
        assert [incident.open for incident in found.incidents] == [True]
    fall = [100, 101, 102, *[50 + number for number in range(9)]]
    assert total(rolled(times, fall)) == 10
    for real, wanted in ((True, 60), (False, 10)):
        found = rolled(times, fall, decision=OperatorDecision(verdicts={times[3]: real}))
        assert total(found) == wanted
    reset = [100, 101, 102, *range(1, 10)]
    assert total(rolled(times, reset)) == 11
    assert total(rolled(times, reset, decision=OperatorDecision(verdicts={times[3]: False}))) == 10
