"""What a local time means at a start and at an end, around clock changes of every kind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.measure.local_time import GivenTime, clock_change, day_end, end_of, start_of

DHAKA = ZoneInfo("Asia/Dhaka")


def shown(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("zone", "local", "start", "end"),
    [
        ("Asia/Kathmandu", "2026-11-10T00:00", "2026-11-10T00:00+05:45", "2026-11-10T00:00+05:45"),
        # A gap: its end, wherever in the gap the time is.
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T03:00+02:00", "2026-03-29T03:00+02:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T03:00+02:00", "2026-03-29T03:00+02:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:30+11:00", "2026-10-04T02:30+11:00"),
        ("Africa/Cairo", "2026-04-24T00:00", "2026-04-24T01:00+03:00", "2026-04-24T01:00+03:00"),
        ("America/Santiago", "2026-09-06T00:59", "2026-09-06T01:00-03:00", "2026-09-06T01:00-03:00"),
        # A gap that begins before midnight, and one of a whole day.
        ("America/Toronto", "1919-03-31T00:00", "1919-03-31T00:30-04:00", "1919-03-31T00:30-04:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-31T00:00+14:00", "2011-12-31T00:00+14:00"),
        # An hour that comes twice: the first one at a start, the second one at an end.
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-05T01:45+11:00", "2026-04-05T01:45+10:30"),
        ("America/Santiago", "2026-04-04T23:30", "2026-04-04T23:30-03:00", "2026-04-04T23:30-04:00"),
        # Where it begins, all that is before it has ended.
        ("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+02:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:30", "2026-04-05T01:30+11:00", "2026-04-05T01:30+11:00"),
        ("America/Havana", "2026-11-01T00:00", "2026-11-01T00:00-04:00", "2026-11-01T00:00-04:00"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T03:00+01:00", "2026-10-25T03:00+01:00"),
    ],
)
def test_a_local_time_is_a_moment(zone: str, local: str, start: str, end: str) -> None:
    time = datetime.fromisoformat(local)
    assert shown(start_of(time, ZoneInfo(zone)), zone) == start
    assert shown(end_of(time, ZoneInfo(zone)), zone) == end


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Africa/Cairo", "2026-04-23", 24),
        ("Africa/Cairo", "2026-04-24", 23),
        ("America/Santiago", "2026-04-04", 25),
        ("America/Havana", "2026-11-01", 25),
        ("America/St_Johns", "2010-11-07", 25),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-30", 0),
        ("Asia/Kathmandu", "2024-02-29", 24),
        ("Asia/Dhaka", "2026-12-31", 24),
        ("UTC", "9999-12-30", 24),
    ],
)
def test_a_date_is_the_whole_day(zone: str, day: str, hours: float) -> None:
    whole, place = GivenTime.parse(day), ZoneInfo(zone)
    start, end = whole.start(place), whole.end(place)
    assert end - start == timedelta(hours=hours)
    assert whole.last(place) == end - timedelta(microseconds=1)
    if day != "9999-12-30":
        following = GivenTime.parse(str(date.fromisoformat(day) + timedelta(days=1)))
        assert following.start(place) == end


def test_a_time_with_an_offset_is_itself_and_one_without_follows_the_zone() -> None:
    aware, naive = GivenTime.parse("2026-11-10T00:00:00Z"), GivenTime.parse("2026-11-10t00:00:00")
    wanted = datetime(2026, 11, 10, tzinfo=UTC)
    assert {aware.start(DHAKA), aware.end(DHAKA), aware.last(DHAKA), naive.start(UTC), naive.end(UTC)} == {wanted}
    assert naive.start(DHAKA) == naive.last(DHAKA) == wanted - timedelta(hours=6)


# fmt: off
@pytest.mark.parametrize("text", [
    "", "today", "2026", "2026-11", "2026-13-01", "2026-02-29", "2026-11-10Z", "2026-11-10+06:00", "2026-11-10T25:00",
    "2026-W46-2", "2026-11-10T", "1767225600", "\u0662\u0660\u0662\u0666-11-10", "2026-11-10T00:00:00" + "0" * 40,
])
def test_other_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        GivenTime.parse(text)


def test_the_last_day_of_the_calendar_ends_with_the_calendar() -> None:
    assert day_end(date.max, UTC) == datetime.max.replace(tzinfo=UTC)
    assert day_end(date.max, DHAKA) == datetime.max.replace(tzinfo=UTC) - timedelta(hours=6)
    with pytest.raises(OverflowError):
        day_end(date.max, ZoneInfo("America/Havana"))
    with pytest.raises(OverflowError):
        start_of(datetime.min, DHAKA)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"])
def test_a_clock_change_is_found_to_the_second(zone: str) -> None:
    place = ZoneInfo(zone)
    moment, changes = datetime(2010, 1, 1, 0, 20, 7, 5, tzinfo=UTC), 0
    while moment.year == 2010:
        later = moment + timedelta(hours=5)
        change = clock_change(moment, later, place)
        if change is not None:
            changes += 1
            just_before = change - timedelta(microseconds=1)
            assert just_before.astimezone(place).utcoffset() == moment.astimezone(place).utcoffset()
            assert change.astimezone(place).utcoffset() == later.astimezone(place).utcoffset()
        moment = later
    assert changes == (0 if zone == "Asia/Kathmandu" else 2)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(available_timezones())),
    st.datetimes(datetime(1905, 1, 1), datetime(2037, 12, 31)),
    st.booleans(),
)
def test_a_start_and_an_end_are_where_the_clock_passes_the_time(name: str, local: datetime, near: bool) -> None:
    """In every zone, at any time and near its clock changes."""
    zone = ZoneInfo(name)
    if near:
        local = near_a_change(local, zone)
    start, end = start_of(local, zone), end_of(local, zone)
    assert start <= end
    for moment in (start, end):
        before = moment - timedelta(microseconds=1)
        assert before.astimezone(zone).replace(tzinfo=None) < local <= moment.astimezone(zone).replace(tzinfo=None)


def near_a_change(local: datetime, zone: ZoneInfo) -> datetime:
    """A local time at the next clock change within a year, off by a part of an hour; the given one if there is none."""
    moment = local.replace(tzinfo=UTC)
    for _ in range(53):
        change = clock_change(moment, moment + timedelta(days=7), zone)
        if change is not None:
            shown = change.astimezone(zone).replace(tzinfo=None, fold=0)
            return shown + timedelta(minutes=local.minute - 90, seconds=local.second)
        moment += timedelta(days=7)
    return local
