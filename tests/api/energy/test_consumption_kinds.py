"""Kinds of series and of times that energy was seen to be wrong at: starts, silences, edges, lost readings, late ones.

Each is asked before the rollups have run, while they are behind and after: it is the same answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenpower.datatype import NO_TIERS
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INTERVALS, INVALIDATIONS, WATERMARKS
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, Meters, make_meters
from tests.api.energy.test_consumption import DAY, HOUR, QUARTER, URL, agrees, iso, plain, rising

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
STARTS = [*(number * HOUR for number in range(24)), 7 * MINUTE, 3 * HOUR + 31 * MINUTE + 13 * SECOND]


def midnight(meters: Meters, days: int) -> datetime:
    """The midnight in UTC so many days before today's."""
    return meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - days * DAY


def energies(meters: Meters, bucket: str, start: datetime, end: datetime, **more: Any) -> list[float | None]:
    body = meters.body(URL, bucket=bucket, tz="UTC", start_time=iso(start), end_time=iso(end), **more)
    return [row["energy"] for row in body["results"]]


@pytest.mark.parametrize("size", [2, 0.0625, 40])
@pytest.mark.parametrize("minute", [0, 10, 59])
@pytest.mark.parametrize("rolled", ["not yet", "half", "all"])
def test_hours_from_any_start(meters: Meters, size: float, minute: int, rolled: str) -> None:
    """Hourly samples: each hour has its own, from wherever the range begins."""
    begin = midnight(meters, 9) + minute * MINUTE
    readings = rising(begin, HOUR, [1000 + size * number for number in range(96)])
    meters.store("M1", readings)
    if rolled != "not yet":
        meters.run_rollups(None if rolled == "all" else begin + 50 * HOUR)
    first = midnight(meters, 9)
    for start in STARTS:
        asked = first + DAY + start
        found = energies(meters, "hour", asked, asked + 4 * HOUR)
        assert set(found) == {size} and len(found) == 4 + bool(start % HOUR), start
    assert energies(meters, "day", first, first + 6 * DAY) == [23 * size, *[24 * size] * 3, None, None]
    body = meters.body(URL, bucket="hour", tz="UTC", start_time=iso(first), end_time=iso(first + 40 * HOUR))
    agrees(body, {"M1": plain(readings)})


@pytest.mark.parametrize("weeks", [1, 3, 40 / 7])
@pytest.mark.parametrize("rolled", ["not yet", "half", "all"])
def test_silent_for_weeks(meters: Meters, weeks: float, rolled: str) -> None:
    """What was counted in a silence falls into the stretch of the next sample, by hour as by day, from any start."""
    silence = timedelta(days=round(7 * weeks))
    first = midnight(meters, 90) + 20 * HOUR
    back = first + silence + HOUR + 50 * MINUTE
    readings = rising(first, QUARTER, [300 + number for number in range(8)])
    readings += rising(back, QUARTER, [1307 + number for number in range(8)])
    meters.store("M1", readings)
    if rolled != "not yet":
        meters.run_rollups(None if rolled == "all" else back - DAY)
    start = back.replace(minute=0) - HOUR
    for begin in (start, start - 5 * HOUR, start - 3 * DAY, start - 36 * DAY, start - 60 * DAY):
        found = energies(meters, "day", begin, start + 3 * HOUR)
        assert found[-1] == 1007 and not any(value for value in found[:-1] if value not in (None, 7.0))
        if start - begin < 2 * DAY:
            assert energies(meters, "hour", begin, start + 4 * HOUR)[-4:] == [None, 1000, 4, 3]
    body = meters.body(URL, bucket="hour", tz="UTC", start_time=iso(start), end_time=iso(start + 4 * HOUR))
    agrees(body, {"M1": plain(readings)})
    row = body["devices"][0]["results"][1]
    assert row["silence_s"] == (back - readings[7][0]).total_seconds() and row["final"]
    assert [entry["boundary"] for entry in body["moved"]] == [iso(start), iso(start + HOUR)]


def test_a_sample_on_a_boundary_belongs_to_the_stretch_that_begins_there(meters: Meters) -> None:
    begin = midnight(meters, 5)
    readings = rising(begin, 12 * HOUR, [0, 1, 3, 6, 10, 15])
    meters.store("M1", readings)
    for _ in range(2):
        assert energies(meters, "day", begin, begin + 3 * DAY) == [1, 5, 9]
        body = meters.body(URL, bucket="day", tz="UTC", start_time=iso(begin), end_time=iso(begin + 3 * DAY))
        first, second, _ = body["devices"][0]["results"]
        assert first["first"] is None and first["last"] == {"at": iso(begin + 12 * HOUR), "value": 1}
        assert second["first"] == first["last"] and second["last"]["value"] == 6
        agrees(body, {"M1": plain(readings)})
        meters.run_rollups()


def test_an_answer_does_not_change_when_readings_and_fine_tiers_have_expired(meters: Meters) -> None:
    begin = midnight(meters, 60)
    readings = rising(begin, QUARTER, [number / 8 for number in range(50 * 96)])
    meters.store("M1", readings)
    meters.run_rollups()
    asked = {"tz": "Asia/Kathmandu", "start_time": iso(begin), "end_time": iso(meters.now)}
    before = [meters.body(URL, bucket=bucket, **asked) for bucket in ("day", "month")]
    agrees(before[0], {"M1": plain(readings)})
    for name in (METER.collection, *(tier.prefix + METER.collection for tier in METER.tiers[:3])):
        meters.database[name].delete_many({"timestamp": {"$lt": begin + 45 * DAY}})
    assert [meters.body(URL, bucket=bucket, **asked) for bucket in ("day", "month")] == before
    for name in (METER.collection, *(tier.prefix + METER.collection for tier in METER.tiers)):
        meters.database[name].delete_many({})
    assert [meters.body(URL, bucket=bucket, **asked) for bucket in ("day", "month")] == before


def test_what_is_still_to_be_computed_again_is_not_final(meters: Meters) -> None:
    begin = midnight(meters, 6)
    readings = rising(begin + 5 * MINUTE, QUARTER, [number / 4 for number in range(4 * 96)])
    late = readings.pop(100)
    meters.store("M1", readings)
    meters.store("M2", readings)
    meters.run_rollups()
    asked = {"tz": "UTC", "bucket": "day", "start_time": iso(begin), "end_time": iso(begin + 4 * DAY)}

    def finals() -> tuple[list[bool], list[bool], bool]:
        body = meters.body(URL, **asked)
        one, two = ([row["final"] for row in device["results"]] for device in body["devices"])
        assert [row["final"] for row in body["results"]] == one and two == [True] * 4
        return one, two, body["final"]

    assert finals() == ([True] * 4, [True] * 4, True)
    meters.store("M1", [late])
    for prefix in (METER.tiers[0].prefix, METER.tiers[2].prefix, INTERVALS):
        place = Place.of("meter", prefix, "M1", late[0])
        invalidate(meters.database[INVALIDATIONS], [place])
        assert finals() == ([True, False, True, True], [True] * 4, False), prefix
        meters.database[INVALIDATIONS].delete_one({"_id": place.key})
    # The coarser tiers do not matter.
    invalidate(meters.database[INVALIDATIONS], [Place.of("meter", METER.tiers[4].prefix, "M1", late[0])])
    assert finals() == ([True] * 4, [True] * 4, True)
    invalidate(meters.database[INVALIDATIONS], [Place.of("meter", METER.tiers[0].prefix, "M1", late[0])])
    assert not finals()[2]
    meters.run_rollups()
    assert finals() == ([True] * 4, [True] * 4, True)
    agrees(meters.body(URL, device_id="M1", **asked), {"M1": plain(sorted([*readings, late], key=lambda r: r[0]))})


def test_the_ledger_can_be_far_behind(meters: Meters) -> None:
    begin = midnight(meters, 12)
    readings = rising(begin, QUARTER, [number / 4 for number in range(10 * 96)])
    meters.store("M1", readings)
    asked = {"tz": "Pacific/Chatham", "bucket": "hour", "start_time": iso(begin), "end_time": iso(begin + 11 * DAY)}
    answers = []
    for at in (None, begin + DAY, begin + 6 * DAY + 11 * HOUR, meters.now):
        if at is not None:
            meters.run_rollups(at)
        body = meters.body(URL, **asked)
        agrees(body, {"M1": plain(readings)})
        answers.append([row["energy"] for row in body["results"]])
    assert all(answer == answers[0] for answer in answers)


def test_a_fall_that_is_decided_after_the_ledger_ends_counts_where_it_belongs(meters: Meters) -> None:
    """The last samples before the watermark wait for those after it; the ledger has not seen them yet."""
    begin = midnight(meters, 4)
    values = [100 + number / 8 for number in range(50)]
    values[46:] = [0.5, 0.75, 1.0, 1.25]
    readings = rising(begin, QUARTER, values)
    meters.store("M1", readings[:47])
    meters.run_rollups(begin + 12 * HOUR)
    watermark = meters.database[WATERMARKS].find_one({"_id": f"meter/{INTERVALS}"})
    assert watermark is not None and watermark["watermark"] < readings[-1][0]
    meters.store("M1", readings[47:])
    asked = {"tz": "UTC", "bucket": "hour", "start_time": iso(begin), "end_time": iso(begin + 14 * HOUR)}
    for _ in range(2):
        agrees(meters.body(URL, **asked), {"M1": plain(readings)})
        meters.run_rollups()


@pytest.mark.parametrize("start", [0, 30 * HOUR / HOUR, 75])
def test_a_type_without_tiers_is_read_from_readings(tmp_path: Path, mongod: Mongod, start: float) -> None:
    bare = replace(METER, tiers=NO_TIERS)
    app, meters = make_meters(tmp_path, mongod.uri, f"test_bare_meters_{start:.0f}", (bare,))
    meters.clear()
    begin = midnight(meters, 9)
    readings = rising(begin + 20 * MINUTE, HOUR, [number / 8 for number in range(8 * 24)])
    meters.store("M1", readings)
    asked = {"tz": "Asia/Kathmandu", "start_time": iso(begin + start * HOUR), "end_time": iso(meters.now)}
    for bucket in ("hour", "day", "year"):
        agrees(meters.body(URL, bucket=bucket, **asked), {"M1": plain(readings)})
    meters.database.client.drop_database(meters.settings.mongo_db_name)
    close_app(app)


def test_a_device_that_nothing_is_left_of_but_the_ledger_is_found(meters: Meters) -> None:
    begin = midnight(meters, 40)
    meters.store("M1", rising(begin, QUARTER, [number / 8 for number in range(300)]))
    meters.run_rollups()
    for name in METER.collections:
        meters.database[name].delete_many({})
    body = meters.body(URL, bucket="month", tz="UTC")
    assert [device["device_id"] for device in body["devices"]] == ["M1"] and body["total"] == 299 / 8


@pytest.mark.parametrize("days", [33, 8])
def test_a_late_reading_counts_however_short_the_tiers_are_kept(meters: Meters, days: int) -> None:
    """A backlog may be older than what the tier keeps whose runs write the ledger."""
    begin = midnight(meters, days) + 5 * MINUTE
    readings = rising(begin, QUARTER, [number / 8 for number in range(96)])
    readings += rising(begin + 3 * DAY, QUARTER, [60 + number / 8 for number in range(96)])
    late = rising(begin + DAY, QUARTER, [12 + number / 8 for number in range(150)])
    meters.store("M1", readings)
    meters.run_rollups()
    asked = {"tz": "UTC", "bucket": "day", "start_time": iso(begin), "end_time": iso(begin + 4 * DAY)}
    agrees(meters.body(URL, **asked), {"M1": plain(readings)})
    meters.store("M1", late)
    prefix = METER.tiers[0].prefix
    invalidate(meters.database[INVALIDATIONS], {Place.of("meter", prefix, "M1", at) for at, _ in late})
    assert not meters.body(URL, **asked)["final"]
    meters.run_rollups()
    body = meters.body(URL, **asked)
    agrees(body, {"M1": plain(sorted([*readings, *late], key=lambda reading: reading[0]))})
    assert body["final"]
