"""The plan of a question to the ledger: few documents, each slot once, at any boundary."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.mongo.energy.ledger_part import DAY, QUARTER
from greenpower.mongo.energy.ledger_plan import SlotRange, documents_needed, plan_documents

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
QUARTERS = st.integers(0, 96 * 150).map(lambda number: EPOCH + number * QUARTER)


@given(st.lists(QUARTERS, min_size=2, max_size=8).map(sorted))
def test_each_quarter_hour_is_read_once_and_for_its_stretch(boundaries: list[datetime]) -> None:
    plan = plan_documents(boundaries)
    read: Counter[tuple[int, datetime]] = Counter()
    for day, ranges in plan.days.items():
        for part in ranges:
            read.update((part.stretch, day + slot * QUARTER) for slot in range(part.begin, part.end))
    for month, ranges in plan.months.items():
        for part in ranges:
            for slot in range(part.begin, part.end):
                day = month + slot * DAY
                assert day.month == month.month
                read.update((part.stretch, day + number * QUARTER) for number in range(96))
    expected = Counter(
        (stretch, begin + number * QUARTER)
        for stretch, (begin, end) in enumerate(pairwise(boundaries))
        for number in range((end - begin) // QUARTER)
    )
    assert read == expected
    assert documents_needed(boundaries, 3) == 3 * (len(plan.days) + len(plan.months))


def months(zone: str, years: int) -> list[datetime]:
    local = ZoneInfo(zone)
    return [
        datetime(2016 + number // 12, 1 + number % 12, 1, tzinfo=local).astimezone(UTC)
        for number in range(12 * years + 1)
    ]


def test_ten_years_by_month_are_few_documents() -> None:
    assert documents_needed(months("UTC", 10), 100) == 120 * 100
    # At +05:45 the day of each boundary besides, and the first lies in the month before.
    assert documents_needed(months("Asia/Kathmandu", 10), 100) == (120 + 121) * 100


def test_a_day_at_an_edge_of_a_quarter_hour_is_cut_there() -> None:
    begin, end = (datetime(2024, 2, day, 18, 15, tzinfo=UTC) for day in (28, 29))
    plan = plan_documents([begin, end, end + DAY])
    assert not plan.months
    assert [(day.day, list(ranges)) for day, ranges in plan.days.items()] == [
        (28, [SlotRange(0, 73, 96)]),
        (29, [SlotRange(0, 0, 73), SlotRange(1, 73, 96)]),
        (1, [SlotRange(1, 0, 73)]),
    ]


def test_a_leap_year_has_its_day() -> None:
    for year, days in ((2023, 28), (2024, 29), (2000, 29), (2100, 28)):
        [february] = plan_documents([datetime(year, month, 1, tzinfo=UTC) for month in (2, 3)]).months.values()
        assert february == [SlotRange(0, 0, days)]


def test_a_boundary_between_quarter_hours_is_an_error() -> None:
    with pytest.raises(ValueError):
        documents_needed([EPOCH, EPOCH + timedelta(minutes=7)], 1)
