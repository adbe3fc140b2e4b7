"""Pending hours: which are found, of which devices and tiers, and what is said when they are too many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.collection import Collection

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.energy import pending
from greenpower.mongo.energy.pending import read_pending
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INTERVALS, INVALIDATIONS

T0 = datetime(2026, 3, 28, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIERS = ("today_", "last_30_days_", INTERVALS)


@pytest.fixture
def marks(settings: Settings) -> Iterator[Collection[Document]]:
    with sync_client(settings) as client:
        yield client[settings.mongo_db_name][INVALIDATIONS]


def put(marks: Collection[Document], *hours: int, device: str = "A", prefix: str = "today_", name: str = "m") -> None:
    invalidate(marks, [Place.of(name, prefix, device, T0 + number * HOUR) for number in hours])


def found(marks: Collection[Document], begin: datetime, end: datetime, device: str = "A") -> list[int]:
    hours = read_pending(marks, "m", TIERS, ["A", "B"], begin, end).of(device)
    return [(hour - T0) // HOUR for hour in hours]


def test_the_hours_of_a_range_are_found_in_all_tiers_that_count(marks: Collection[Document]) -> None:
    put(marks, 0, 3, 30)
    put(marks, 1, 3, prefix="last_30_days_")
    put(marks, 2, prefix=INTERVALS)
    put(marks, 5, prefix="this_year_")
    put(marks, 6, name="m2")
    put(marks, 7, device="B")
    put(marks, 8, device="C")
    assert found(marks, T0, T0 + 24 * HOUR) == [0, 1, 2, 3]
    assert found(marks, T0, T0 + 24 * HOUR, "B") == [7]
    assert found(marks, T0, T0 + 24 * HOUR, "C") == []
    # What overlaps the range, and nothing that touches its ends.
    assert found(marks, T0 + 1.5 * HOUR, T0 + 3 * HOUR) == [1, 2]
    assert found(marks, T0 + 3 * HOUR, T0 + 3.25 * HOUR) == [3]
    assert found(marks, T0 + 4 * HOUR, T0 + 31 * HOUR) == [30]
    assert read_pending(marks, "m", (), ["A"], T0, T0 + HOUR).of("A") == ()
    assert read_pending(marks, "m", TIERS, [], T0, T0 + HOUR).of("A") == ()


def test_with_too_many_any_hour_may_be_pending(marks: Collection[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    put(marks, *range(10))
    assert not read_pending(marks, "m", TIERS, ["A"], T0, T0 + 24 * HOUR).all
    monkeypatch.setattr(pending, "MAX_PENDING_HOURS", 9)
    assert read_pending(marks, "m", TIERS, ["A"], T0, T0 + 24 * HOUR).all
    assert not read_pending(marks, "m", TIERS, ["A"], T0 + 2 * HOUR, T0 + 24 * HOUR).all
