"""Local hours, days, weeks, months and years in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from greenpower.energy.calendar import Unit, boundaries, label, local_text
from greenpower.measure.local_time import start_of

HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "unit", "wanted"),
    [
        ("Asia/Kathmandu", "2026-03-01T18:00", Unit.DAY, ["2026-02-28T18:15", "2026-03-01T18:15"]),
        ("Asia/Kathmandu", "2026-03-01T18:15", Unit.DAY, ["2026-03-01T18:15", "2026-03-02T18:15"]),
        ("Asia/Kathmandu", "2026-03-01T18:14", Unit.HOUR, ["2026-03-01T17:15", "2026-03-01T18:15"]),
        ("Asia/Dhaka", "2026-03-01T18:00", Unit.MONTH, ["2026-02-28T18:00", "2026-03-31T18:00"]),
        ("Europe/Berlin", "2026-03-29T10:00", Unit.DAY, ["2026-03-28T23:00", "2026-03-29T22:00"]),
        ("Europe/Berlin", "2026-10-25T10:00", Unit.DAY, ["2026-10-24T22:00", "2026-10-25T23:00"]),
        ("Europe/Berlin", "2026-03-29T10:00", Unit.WEEK, ["2026-03-22T23:00", "2026-03-29T22:00"]),
        ("Europe/Berlin", "2026-01-01T10:00", Unit.WEEK, ["2025-12-28T23:00", "2026-01-04T23:00"]),
        ("Europe/Berlin", "2026-07-01T10:00", Unit.YEAR, ["2025-12-31T23:00", "2026-12-31T23:00"]),
        # Midnight does not exist that day.
        ("Africa/Cairo", "2026-04-24T10:00", Unit.DAY, ["2026-04-23T22:00", "2026-04-24T21:00"]),
    ],
)
def test_a_time_lies_in_its_local_stretch(zone: str, start: str, unit: Unit, wanted: list[str]) -> None:
    assert boundaries(at(start), at(start), unit, ZoneInfo(zone)) == [at(text) for text in wanted]


def test_an_hour_that_comes_twice_is_two_and_one_that_is_skipped_is_none() -> None:
    zone = ZoneInfo("Europe/Berlin")
    autumn = boundaries(at("2026-10-24T23:00"), at("2026-10-25T02:00"), Unit.HOUR, zone)
    assert [label(time, Unit.HOUR, zone) for time in autumn] == [
        "2026-10-25T01:00+02:00",
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]
    spring = boundaries(at("2026-03-29T00:00"), at("2026-03-29T02:00"), Unit.HOUR, zone)
    assert [label(time, Unit.HOUR, zone)[11:13] for time in spring] == ["01", "03", "04"]


def test_a_clock_change_of_half_an_hour_begins_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    spring = boundaries(at("2026-10-03T14:30"), at("2026-10-03T16:30"), Unit.HOUR, zone)
    assert [label(time, Unit.HOUR, zone) for time in spring] == [
        "2026-10-04T01:00+10:30",
        "2026-10-04T02:30+11:00",
        "2026-10-04T03:00+11:00",
        "2026-10-04T04:00+11:00",
    ]
    autumn = boundaries(at("2026-04-04T14:00"), at("2026-04-04T16:00"), Unit.HOUR, zone)
    assert [label(time, Unit.HOUR, zone) for time in autumn] == [
        "2026-04-05T01:00+11:00",
        "2026-04-05T01:30+10:30",
        "2026-04-05T02:00+10:30",
        "2026-04-05T03:00+10:30",
    ]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2026-03-28"),
        ("Europe/Berlin", "2026-10-24"),
        ("Australia/Lord_Howe", "2026-10-03"),
        ("Australia/Lord_Howe", "2026-04-04"),
        ("Africa/Cairo", "2026-04-23"),
        ("Asia/Kathmandu", "2024-02-28"),
        ("America/St_Johns", "2010-11-06"),
        ("Pacific/Apia", "2011-12-29"),
        ("America/Santiago", "2026-04-04"),
    ],
)
@pytest.mark.parametrize("minutes", [0, 7, 30, 65, 725])
def test_hours_lie_within_days_from_wherever_they_begin(zone: str, day: str, minutes: int) -> None:
    place = ZoneInfo(zone)
    begin = start_of(datetime.fromisoformat(day), place) + timedelta(minutes=minutes)
    days = boundaries(begin, begin + 3 * 24 * HOUR, Unit.DAY, place)
    hours = boundaries(days[0], days[-1], Unit.HOUR, place)
    assert set(days) <= {*hours} or zone == "America/St_Johns"
    assert all(after - before <= HOUR for before, after in pairwise(hours))
    late = boundaries(begin, days[-1], Unit.HOUR, place)
    assert late == [hour for hour in hours if hour >= late[0]] and late[0] <= begin < late[1]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Toronto", "1919-03-30", 23.5),
        ("America/Toronto", "1919-03-31", 23.5),
    ],
)
def test_a_day_with_a_clock_change_has_its_hours(zone: str, day: str, hours: float) -> None:
    noon = datetime.fromisoformat(day + "T12:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    start, end = boundaries(noon, noon, Unit.DAY, ZoneInfo(zone))
    assert end - start == hours * HOUR


@pytest.mark.parametrize("zone", ["Pacific/Apia", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "UTC"])
@pytest.mark.parametrize("unit", list(Unit))
def test_stretches_cover_a_year_without_gaps_and_have_names_of_their_own(zone: str, unit: Unit) -> None:
    place = ZoneInfo(zone)
    start, end = at("2011-06-05T04:03"), at("2012-06-05T04:03")
    found = boundaries(start, end, unit, place)
    assert found[0] <= start and found[-1] >= end and found[-2] < end
    assert all(before < after for before, after in pairwise(found))
    names = [label(time, unit, place) for time in found]
    assert len(set(names)) == len(names)


def test_weeks_are_named_by_their_iso_year() -> None:
    assert label(at("2025-12-29"), Unit.WEEK, ZoneInfo("UTC")) == "2026-W01"
    assert label(at("2026-12-28"), Unit.WEEK, ZoneInfo("UTC")) == "2026-W53"


@pytest.mark.parametrize(
    ("zone", "time", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
        ("Asia/Kathmandu", "2026-03-29T00:00:00Z", "2026-03-29T05:45:00+05:45"),
        ("Asia/Dhaka", "0315-05-19T17:58:20Z", "0315-05-19T17:58:20+00:00"),
        ("Europe/Amsterdam", "1910-01-01T00:00:00Z", "1910-01-01T00:00:00+00:00"),
    ],
)
def test_a_local_time_always_has_an_offset_that_iso_8601_has(zone: str, time: str, expected: str) -> None:
    found = local_text(datetime.fromisoformat(time), ZoneInfo(zone))
    assert datetime.fromisoformat(found) == datetime.fromisoformat(time)
    assert found == expected
