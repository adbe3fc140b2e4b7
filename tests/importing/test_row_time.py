"""Times of rows: every form, zones, hours that come twice or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from greenpower.importing.mapping import make_mapping
from greenpower.importing.row_time import BadTimeError, RowTimes

BERLIN = "Europe/Berlin"
QUARTER = timedelta(minutes=15)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def times(**mapping: Any) -> RowTimes:
    return RowTimes(make_mapping(mapping))


@pytest.mark.parametrize(
    ("value", "mapping"),
    [
        ("2026-01-31T12:00:00Z", {}),
        ("2026-01-31 13:00:00+01:00", {}),
        (" 2026-01-31T12:00Z ", {}),
        ("1769860800", {}),
        (1769860800, {}),
        (1769860800000, {}),
        ("20260131120000", {"timezone": "UTC"}),
        ("2026-01-31 13:00", {"timezone": BERLIN}),
        ("31.01.2026 13:00", {"timezone": BERLIN, "time_format": "%d.%m.%Y %H:%M"}),
        ("31/Jan/2026 13:00 +0100", {"time_format": "%d/%b/%Y %H:%M %z"}),
        (NOON, {}),
        (NOON.replace(tzinfo=None), {"timezone": "UTC"}),
    ],
)
def test_forms(value: Any, mapping: dict[str, Any]) -> None:
    assert times(**mapping).read("D", value) == NOON


def test_a_date_alone_is_its_midnight_in_the_zone() -> None:
    midnight = datetime(2026, 1, 30, 23, tzinfo=UTC)
    assert times(timezone=BERLIN).read("D", "2026-01-31") == midnight
    assert times(timezone=BERLIN).read("D", date(2026, 1, 31)) == midnight


def test_a_fraction_is_cut_after_milliseconds() -> None:
    assert times().read("D", "2026-01-31T12:00:00.123999Z").microsecond == 123_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "bad-time"),
        (None, "bad-time"),
        ("yesterday", "bad-time"),
        ("2026-02-30T00:00Z", "bad-time"),
        ("1969-01-01T00:00Z", "bad-time"),
        ("2026-01-31T12:00", "no-zone"),
        (True, "bad-time"),
        ([], "bad-time"),
    ],
)
def test_what_is_no_time_says_why(value: Any, reason: str) -> None:
    with pytest.raises(BadTimeError) as raised:
        times().read("D", value)
    assert raised.value.reason == reason


def test_a_time_that_no_clock_shows_is_refused() -> None:
    with pytest.raises(BadTimeError) as raised:
        times(timezone=BERLIN).read("D", "2026-03-29 02:30")
    assert raised.value.reason == "skipped-hour"


def series(begin: datetime, count: int, step: timedelta) -> list[datetime]:
    return [begin + number * step for number in range(count)]


#: around all clock changes of 2026 in these zones
SPANS = ((datetime(2026, 3, 5, tzinfo=UTC), 35), (datetime(2026, 10, 1, tzinfo=UTC), 35))


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Dhaka"])
@pytest.mark.parametrize("step", [QUARTER, timedelta(minutes=30), timedelta(minutes=7)])
@pytest.mark.parametrize("backwards", [False, True])
def test_rows_in_order_tell_a_repeated_hour_apart(zone: str, step: timedelta, backwards: bool) -> None:
    """In either direction, every local time gives back what it was made of."""
    repeated = 0
    for begin, days in SPANS:
        moments = series(begin, int(timedelta(days=days) / step), step)
        if backwards:
            moments.reverse()
        read = times(timezone=zone)
        local = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
        assert [read.read("D", one) for one in local] == moments
        repeated += read.repeated
    assert (repeated > 0) is (zone != "Asia/Dhaka")


def test_devices_that_stand_beside_each_other_do_not_disturb() -> None:
    read = times(timezone=BERLIN)
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    for moment in series(begin, 24, QUARTER):
        local = moment.astimezone(ZoneInfo(BERLIN)).replace(tzinfo=None)
        assert [read.read(device, local) for device in ("A", "B")] == [moment, moment]
    assert read.repeated == 2 * 8


@pytest.mark.parametrize(("rule", "hour"), [("first", 0), ("second", 1), ("order", 0)])
def test_a_repeated_hour_by_rule(rule: str, hour: int) -> None:
    read = times(timezone=BERLIN, repeated_hour=rule)
    assert read.read("D", "2026-10-25 02:30") == datetime(2026, 10, 25, hour, 30, tzinfo=UTC)


def test_a_repeated_hour_can_be_refused() -> None:
    with pytest.raises(BadTimeError) as raised:
        times(timezone=BERLIN, repeated_hour="refuse").read("D", "2026-10-25 02:30")
    assert raised.value.reason == "repeated-hour"
