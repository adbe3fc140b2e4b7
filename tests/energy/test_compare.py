"""Ranges that a range is compared with, in zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.energy.calendar import Unit, boundaries
from greenpower.energy.compare import Comparison, compared

BERLIN = ZoneInfo("Europe/Berlin")
zones = st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "UTC"]).map(
    ZoneInfo
)
starts = st.datetimes(datetime(2015, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))


def texts(asked: list[datetime]) -> list[str]:
    return [f"{boundary.astimezone(BERLIN):%Y-%m-%d %H:%M}" for boundary in asked]


@pytest.mark.parametrize(
    ("start", "end", "unit", "how", "expected"),
    [
        ("2026-03-30", "2026-04-01", Unit.DAY, Comparison.PREVIOUS, ["2026-03-28", "2026-03-29", "2026-03-30"]),
        ("2026-03-01", "2026-04-01", Unit.MONTH, Comparison.PREVIOUS, ["2026-02-01", "2026-03-01"]),
        ("2026-01-01", "2027-01-01", Unit.YEAR, Comparison.PREVIOUS, ["2025-01-01", "2026-01-01"]),
        ("2026-03-29", "2026-03-30", Unit.DAY, Comparison.YEAR_AGO, ["2025-03-29", "2025-03-30"]),
        ("2028-02-28", "2028-03-01", Unit.DAY, Comparison.YEAR_AGO, ["2027-02-28", "2027-03-01"]),
        ("2028-02-29", "2028-03-01", Unit.DAY, Comparison.YEAR_AGO, ["2027-02-28", "2027-03-01"]),
        ("2026-11-23", "2026-11-24", Unit.DAY, Comparison.SAME_DAYS, ["2025-11-24", "2025-11-25"]),
        ("2026-02-01", "2026-03-01", Unit.MONTH, Comparison.YEAR_AGO, ["2025-02-01", "2025-03-01"]),
    ],
)
def test_what_a_range_is_compared_with(start: str, end: str, unit: Unit, how: Comparison, expected: list[str]) -> None:
    begin, until = (datetime.fromisoformat(text).replace(tzinfo=BERLIN) for text in (start, end))
    assert texts(compared(boundaries(begin, until, unit, BERLIN), unit, BERLIN, how)) == [
        f"{day} 00:00" for day in expected
    ]


@given(zone=zones, start=starts, unit=st.sampled_from(Unit), count=st.integers(1, 40))
def test_the_range_before_ends_where_the_range_begins(zone: ZoneInfo, start: datetime, unit: Unit, count: int) -> None:
    asked = boundaries(start, start + count * timedelta(hours=7), unit, zone)
    before = compared(asked, unit, zone, Comparison.PREVIOUS)
    assert before[-1] == asked[0] and len(before) == len(asked)
    assert before == boundaries(before[0], before[-1], unit, zone)


@given(zone=zones, start=starts, unit=st.sampled_from([Unit.DAY, Unit.WEEK, Unit.MONTH]), days=st.integers(1, 90))
def test_the_same_days_are_the_same_days_of_the_week(zone: ZoneInfo, start: datetime, unit: Unit, days: int) -> None:
    asked = boundaries(start, start + timedelta(days=days), unit, zone)
    before = compared(asked, unit, zone, Comparison.SAME_DAYS)
    assert all(one < other for one, other in pairwise(before))
    if unit is Unit.DAY:
        assert len(before) == len(asked)
        for one, other in zip(before, asked, strict=True):
            assert one.astimezone(zone).date() == other.astimezone(zone).date() - timedelta(weeks=52)
