"""Periods of reports: their names, and which are due, also after a downtime and over changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenpower.energy.calendar import Unit
from greenpower.reports.period import (
    MAX_MADE_UP,
    SETTLES_AFTER,
    PeriodError,
    due_periods,
    last_ended,
    period_before,
    read_period,
)

BERLIN = ZoneInfo("Europe/Berlin")
OCTOBER_ENDS = datetime(2026, 10, 31, 23, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "unit", "name"),
    [("2026-10", Unit.MONTH, "2026-10"), ("2026-10-25", Unit.MONTH, "2026-10"), ("2026-W44", Unit.WEEK, "2026-W44"),
     ("2026-11-01", Unit.WEEK, "2026-W44"), ("2020-W53", Unit.WEEK, "2020-W53"), ("2021-01-01", Unit.WEEK, "2020-W53")],
)  # fmt: skip
def test_a_period_by_its_name_or_a_day(text: str, unit: Unit, name: str) -> None:
    period = read_period(text, unit, BERLIN)
    assert period.name == name
    assert read_period(name, unit, BERLIN) == period
    following = read_period(f"{period.end.astimezone(BERLIN):%Y-%m-%d}", unit, BERLIN)
    assert following.begin == period.end and period_before(following, BERLIN) == period


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-W54", "2026-W00", "2026-10-32", "x", "0000-01", "2026-W4"]
)
def test_no_periods(text: str) -> None:
    for unit in (Unit.WEEK, Unit.MONTH):
        with pytest.raises(PeriodError):
            read_period(text, unit, BERLIN)


def test_the_ends_of_the_calendar() -> None:
    for text in ("9999-12", "0001-01"):
        with pytest.raises(PeriodError):
            period_before(read_period(text, Unit.MONTH, BERLIN), BERLIN)


def names(
    now: datetime, *, since: datetime = LONG_AGO, done: datetime | None = None, unit: Unit = Unit.MONTH
) -> list[str]:
    return [period.name for period in due_periods(now, unit, BERLIN, since=since, done=done)]


def test_a_period_is_due_once_when_it_has_settled() -> None:
    settled = OCTOBER_ENDS + SETTLES_AFTER
    september = read_period("2026-09", Unit.MONTH, BERLIN)
    assert last_ended(OCTOBER_ENDS, Unit.MONTH, BERLIN).end == OCTOBER_ENDS
    assert names(settled - timedelta(seconds=1), done=september.end) == []
    assert names(settled, done=september.end) == ["2026-10"]
    assert names(settled, done=OCTOBER_ENDS) == []
    assert names(settled, since=OCTOBER_ENDS - timedelta(days=1)) == ["2026-10"]
    assert names(settled, since=OCTOBER_ENDS + timedelta(hours=1)) == []


def test_what_was_missed_is_made_up_for_the_newest_of_many() -> None:
    done = read_period("2026-08", Unit.MONTH, BERLIN).end
    assert names(OCTOBER_ENDS + timedelta(days=5), done=done) == ["2026-09", "2026-10"]
    assert len(names(OCTOBER_ENDS + timedelta(days=5))) == MAX_MADE_UP
    weeks = names(OCTOBER_ENDS + timedelta(days=5), unit=Unit.WEEK, done=read_period("2026-W42", Unit.WEEK, BERLIN).end)
    assert weeks == ["2026-W43", "2026-W44"]
