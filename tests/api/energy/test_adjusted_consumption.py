"""Corrections of energy in consumption: through readings, rollups, the ledger and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.schema.layout import ADJUSTMENTS
from tests.api.energy.corrected import DAY, HOUR, consumption, correct, counts, is_evaluated, to_counts, touch, withdraw
from tests.api.energy.meter import METER, Meters
from tests.measure.adjustment.plain_adjustment import QUARTER, Sample, counted, plain_estimate
from tests.measure.adjustment.test_estimate import series, without

ESTIMATE, FIXED = CorrectionKind.ESTIMATE, CorrectionKind.FIXED
ZONES = ("UTC", "Asia/Kathmandu", "Europe/Berlin")


def store(meters: Meters, samples: Sequence[Sample], device: str = "M1") -> None:
    meters.store(device, [(time, {"energy": register / 10**6}) for time, register in samples])


def begin_of(meters: Meters, days: int) -> datetime:
    """Midnight, some days ago."""
    return meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - days * DAY


def check_sums(meters: Meters, begin: datetime, end: datetime) -> None:
    """Quarter-hours cannot be asked for; hours, days and months agree in every zone."""
    for zone in ZONES:
        whole = {}
        for bucket in ("hour", "day", "month"):
            answer = consumption(meters, begin, end, bucket, tz=zone)
            whole[bucket] = counts(answer)
            assert to_counts(answer["total"]) == sum(value or 0 for value in whole[bucket].values())
            if bucket == "day":
                for row in answer["results"]:
                    since, until = (datetime.fromisoformat(row[name]) for name in ("start", "end"))
                    if begin <= since and until <= end:
                        inside = [value or 0 for at, value in whole["hour"].items() if since <= at < until]
                        assert (to_counts(row["energy"]) or 0) == sum(inside)
        first, last = (datetime.fromisoformat(answer[name]) for name in ("start", "end"))
        days = counts(consumption(meters, first, last, "day", tz=zone))
        assert sum(value or 0 for value in days.values()) == to_counts(answer["total"])


def expected_hours(samples: Sequence[Sample], added: dict[datetime, Any], begin: datetime, end: datetime) -> Any:
    """The counts of hours: what was counted, and what is added to it."""
    found = {}
    base = counted(samples)
    hour = begin
    while hour < end:
        quarters = [hour + n * QUARTER for n in range(4)]
        found[hour] = sum(base.get(place, 0) + added.get(place, 0) for place in quarters)
        hour += HOUR
    return found


@pytest.mark.parametrize("method", ["evenly", "weekdays"])
def test_a_silence_is_estimated_and_late_readings_replace_that(meters: Meters, method: str) -> None:
    begin = begin_of(meters, 20)
    gap = (begin + 15 * DAY + 20 * HOUR + timedelta(minutes=7), begin + 16 * DAY + 9 * HOUR + timedelta(minutes=1))
    everything = series(begin, 18, QUARTER)
    samples = without(everything, *gap)
    store(meters, samples)
    meters.run_rollups()
    days = (begin + 15 * DAY, begin + 17 * DAY)
    before = consumption(meters, *days)
    assert before["corrections"] == [] and "corrected" not in before
    made = correct(meters, ESTIMATE, begin + 15 * DAY + 20 * HOUR, begin + 16 * DAY + 10 * HOUR, method=method)
    zone = ZoneInfo(meters.settings.device_timezone)
    span = (begin + 15 * DAY + 20 * HOUR, begin + 16 * DAY + 10 * HOUR)
    added = plain_estimate(samples, *span, zone if method == "weekdays" else None)
    plain = expected_hours(samples, added, *days)
    for evaluated in (False, True):
        if evaluated:
            meters.run_rollups()
        assert is_evaluated(meters, made) == evaluated
        answer = consumption(meters, *days)
        found = counts(answer)
        assert all(abs((found[hour] or 0) - plain[hour]) < 9 for hour in plain)
        assert answer["total"] == before["total"] and answer["moved"] == before["moved"]
        assert [item["id"] for item in answer["corrections"]] == [str(made)]
        for row, old in zip(answer["devices"][0]["results"], before["devices"][0]["results"], strict=True):
            touched = any(datetime.fromisoformat(row["bucket"]) <= at < _end(row) for at in added)
            assert row.get("corrections", []) == ([str(made)] if touched else [])
            assert row.get("estimated", False) == touched
            assert touched or row == old
            assert row["final"]
        assert sum(row["silence_s"] for row in answer["devices"][0]["results"]) < 900
    check_sums(meters, begin + 14 * DAY, begin + 18 * DAY)

    late = [sample for sample in everything if gap[0] <= sample[0] < gap[1]]
    store(meters, late)
    touch(meters, [time for time, _ in late])
    pending = consumption(meters, *days)
    assert not pending["final"]
    # A part of the silence that ends long before the late readings depends on them, too.
    assert not consumption(meters, begin + 15 * DAY + 20 * HOUR, begin + 15 * DAY + 21 * HOUR)["final"]
    meters.run_rollups()
    assert is_evaluated(meters, made)
    assert counts(consumption(meters, *days)) == expected_hours(everything, {}, *days)
    withdraw(meters, made)
    meters.run_rollups()
    assert meters.database[ADJUSTMENTS].count_documents({}) == 0


def _end(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["bucket"]) + HOUR


@pytest.mark.parametrize("method", ["evenly", "weekdays"])
def test_a_part_of_a_silence_and_one_that_is_not_in_the_ledger_yet(meters: Meters, method: str) -> None:
    """It ended minutes ago. Whatever is asked for, an hour has one answer, and a run changes nothing."""
    quarter = meters.now.replace(minute=meters.now.minute // 15 * 15, second=0, microsecond=0)
    ended = quarter - 2 * QUARTER
    samples = without(series(ended - 10 * DAY, 10.02), ended - 15 * HOUR, ended)
    store(meters, samples)
    meters.run_rollups()
    hour = ended.replace(minute=0)
    span = (hour - 10 * HOUR, hour - 4 * HOUR)
    made = correct(meters, ESTIMATE, *span, method=method)
    zone = ZoneInfo(meters.settings.device_timezone) if method == "weekdays" else None
    plain = expected_hours(samples, plain_estimate(samples, *span, zone), *span)
    for _ in range(2):
        found = counts(consumption(meters, *span))
        assert all(abs((found[at] or 0) - plain[at]) < 9 for at in plain)
        for at in plain:
            assert counts(consumption(meters, at, at + HOUR)) == {at: found[at]}
        assert to_counts(consumption(meters, hour - DAY, meters.now)["total"]) == sum(
            energy for place, energy in counted(samples).items() if place >= hour - DAY
        )
        meters.run_rollups()
    assert is_evaluated(meters, made)


def test_a_silence_that_goes_on_gets_what_is_expected_until_a_reading_comes(meters: Meters) -> None:
    quarter = meters.now.replace(minute=meters.now.minute // 15 * 15, second=0, microsecond=0)
    last = quarter - 12 * HOUR
    samples = [(last - n * QUARTER, 10**9 - n * 100_000) for n in range(96 * 9)][::-1]
    store(meters, samples)
    meters.run_rollups()
    hour = (last + 2 * HOUR).replace(minute=0)
    assert counts(consumption(meters, hour, hour + HOUR)) == {hour: None}
    made = correct(meters, ESTIMATE, last, quarter + DAY, method="weekdays")
    for _ in range(2):
        answer = consumption(meters, hour, hour + HOUR)
        assert counts(answer) == {hour: 400_000}
        assert answer["estimated"] and not answer["final"]
        meters.run_rollups()
    store(meters, [(quarter, 10**9 + 48 * 50_000)])
    answer = consumption(meters, hour, hour + HOUR)
    assert counts(answer) == {hour: 200_000} and answer["corrections"][0]["id"] == str(made)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Europe/Berlin", "America/St_Johns"])
def test_a_fixed_energy_over_days_and_a_month(meters: Meters, zone: str) -> None:
    """It begins and ends on local midnights, three days around the first of a month, or a change of clocks."""
    first = meters.now.astimezone(ZoneInfo(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begin = (first - timedelta(days=1)).replace(hour=0)
    end = first + timedelta(days=2)
    end = end.replace(hour=0)
    start = begin - 2 * DAY
    samples = [(start + n * QUARTER, 10**9 + n * n * 100) for n in range(96 * 7)]
    store(meters, samples)
    meters.run_rollups()
    span = (start, start + 7 * DAY)
    before = consumption(meters, *span, "day", tz=zone)
    made = correct(meters, FIXED, begin, end, energy=30_000_001)
    for _ in range(2):
        answer = consumption(meters, *span, "day", tz=zone)
        inside = [row for row in answer["results"] if begin <= datetime.fromisoformat(row["start"]) < end]
        assert sum(to_counts(row["energy"]) or 0 for row in inside) == 30_000_001
        for row, old in zip(answer["results"], before["results"], strict=True):
            assert row.get("corrections", []) == ([str(made)] if row in inside else [])
            assert row in inside or row == old
        assert not answer["estimated"]
        meters.run_rollups()
    assert is_evaluated(meters, made)
    check_sums(meters, begin - DAY, end + DAY)
    withdraw(meters, made)
    assert consumption(meters, *span, "day", tz=zone) == before


def test_a_fixed_energy_where_nothing_was_measured_is_known_and_has_the_last_word(meters: Meters) -> None:
    begin = begin_of(meters, 6)
    samples = without(series(begin, 5), begin + 2 * DAY, begin + 3 * DAY)
    store(meters, samples)
    meters.run_rollups()
    nothing = correct(meters, FIXED, begin + 2 * DAY + HOUR, begin + 2 * DAY + 3 * HOUR, energy=0)
    estimate = correct(meters, ESTIMATE, begin + 2 * DAY, begin + 3 * DAY, method="evenly")
    for _ in range(2):
        answer = consumption(meters, begin + 2 * DAY, begin + 3 * DAY)
        rows = answer["results"]
        assert [row["energy"] for row in rows[1:3]] == [0, 0]
        assert all(row["energy"] for row in (*rows[:1], *rows[3:]))
        assert rows[1]["corrections"] == [str(nothing)] and rows[4]["corrections"] == [str(estimate)]
        meters.run_rollups()


def test_the_ledger_marks_what_depends_on_it(meters: Meters) -> None:
    begin = begin_of(meters, 5)
    samples = series(begin, 4)
    store(meters, samples)
    meters.run_rollups()
    made = correct(meters, FIXED, begin + DAY, begin + 2 * DAY, energy=5_000_000)
    other = correct(meters, FIXED, begin + 3 * DAY, begin + 3 * DAY + HOUR, energy=1)
    meters.run_rollups()
    kept = {item["_id"]: item["as_of"] for item in meters.database[ADJUSTMENTS].find()}
    late = (samples[150][0] + timedelta(minutes=4), samples[150][1] + 1)
    store(meters, [late])
    touch(meters, late[:1])
    meters.run_rollups()
    again = {item["_id"]: item["as_of"] for item in meters.database[ADJUSTMENTS].find()}
    assert again[made] > kept[made] and again[other] == kept[other]
    assert is_evaluated(meters, made)
    assert to_counts(consumption(meters, begin + DAY, begin + 2 * DAY)["total"]) == 5_000_000


def test_made_and_withdrawn_leaves_every_answer_as_it_was(meters: Meters) -> None:
    begin = begin_of(meters, 12)
    store(meters, without(series(begin, 11), begin + 9 * DAY + 3 * HOUR, begin + 9 * DAY + 20 * HOUR))
    meters.run_rollups()
    questions = [(begin, begin + 11 * DAY, bucket, zone) for bucket in ("hour", "day", "month") for zone in ZONES]
    before = [consumption(meters, since, until, bucket, tz=zone) for since, until, bucket, zone in questions]
    made = [
        correct(meters, FIXED, begin + DAY, begin + 3 * DAY, energy=77_777_777),
        correct(meters, ESTIMATE, begin + 9 * DAY, begin + 10 * DAY, method="weekdays"),
        correct(meters, CorrectionKind.INCIDENT, begin + 5 * DAY, None, energy=-3_000_000),
    ]
    meters.run_rollups()
    changed = [consumption(meters, since, until, bucket, tz=zone) for since, until, bucket, zone in questions]
    assert all(len(answer["corrections"]) == 3 for answer in changed)
    assert changed[0]["total"] != before[0]["total"]
    for correction in made:
        withdraw(meters, correction)
    assert [consumption(meters, since, until, bucket, tz=zone) for since, until, bucket, zone in questions] == before
    meters.run_rollups()
    assert [consumption(meters, since, until, bucket, tz=zone) for since, until, bucket, zone in questions] == before


def test_a_correction_of_samples_is_named_up_to_the_next_sample(meters: Meters) -> None:
    begin = begin_of(meters, 5)
    store(meters, without(series(begin, 4), begin + DAY + HOUR, begin + DAY + 3 * HOUR))
    meters.run_rollups()
    made = str(correct(meters, CorrectionKind.EXCLUSION, begin + DAY, begin + DAY + 2 * HOUR))
    answer = consumption(meters, begin + DAY - HOUR, begin + DAY + 6 * HOUR)
    named = [row.get("corrections") for row in answer["devices"][0]["results"]]
    assert named == [None, [made], [made], [made], [made], None, None]
    assert METER.name == answer["corrections"][0]["type"]


def test_two_meters_count_up_to_their_exchange_and_from_it_on(meters: Meters) -> None:
    """The old one ends at 12:20 with 500.5 more than its last sample; the new one begins at 0.2 and is heard later."""
    begin = begin_of(meters, 4)
    at = begin + DAY + 12 * HOUR + timedelta(minutes=20)
    old = [(begin + n * QUARTER, 10**9 + n * 10**6) for n in range(96 + 49)]
    new = [(at + timedelta(minutes=45) + n * QUARTER, 1_200_000 + n * 10**6) for n in range(20)]
    store(meters, old)
    store(meters, new, "M2")
    meters.run_rollups()
    span = (begin + DAY + 11 * HOUR, begin + DAY + 15 * HOUR)
    last = old[-1][1] / 10**6
    correct(meters, CorrectionKind.EXCHANGE, at, None, side="old", register=last + 500.5, other_device="M2")
    correct(meters, CorrectionKind.EXCHANGE, at, None, "M2", side="new", register=0.2, other_device="M1")
    for _ in range(2):
        assert [*counts(consumption(meters, *span)).values()] == [4_000_000, 501_500_000, None, None]
        other = consumption(meters, *span, device_id="M2")
        assert [*counts(other).values()] == [None, None, 1_000_000 + 3_000_000, 4_000_000]
        assert other["devices"][0]["results"][2]["corrections"] == [other["corrections"][0]["id"]]
        meters.run_rollups()
