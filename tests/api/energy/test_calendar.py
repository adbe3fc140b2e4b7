"""Local hours, days, weeks, months and years in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from greenpower.api.energy.calendar import Unit, boundaries, label

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
