"""Closed figures in buckets, against a plain rule: what is known now, less the adjustments of the months in it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from greenpower.energy.calendar import Unit, boundaries
from greenpower.energy.closed_month import ClosedCuts, ClosedMonth, ShownFigures
from greenpower.energy.closing import Figure, FigureAdjustment
from greenpower.energy.month import month_from

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
POINT = 7


def figure(energy: int, point: int = POINT) -> Figure:
    return Figure(
        point_id=point, name="P", unit="kWh", energy=str(energy), undecided=False, corrections=[], parts=[]
    )  # fmt: skip


def closed(period: int, first: date, energy: int, zone: ZoneInfo = BERLIN, point: int = POINT) -> ClosedMonth:
    month = month_from(first, zone)
    return ClosedMonth(period=period, month=month, zone=zone, figures={point: figure(energy, point)})


def keep(kept: Figure, now: int) -> tuple[int, FigureAdjustment | None]:
    return int(kept.energy or 0), None


def book(cuts: ClosedCuts, known: Sequence[int]) -> tuple[list[int], int]:
    found = cuts.book(POINT, known, sum, keep)
    return list(found.buckets), found.total


def is_first(at: datetime, zone: ZoneInfo) -> bool:
    local = at.astimezone(zone)
    return (local.day, local.hour, local.minute) == (1, 0, 0)


@pytest.mark.parametrize("seed", range(40))
def test_a_stretch_has_what_is_known_now_less_the_adjustments_of_its_months(seed: int) -> None:
    rng = random.Random(seed)
    unit, zone = rng.choice(list(Unit)), rng.choice([BERLIN, TOKYO])
    begin = datetime(2025, rng.randint(1, 12), rng.choice([1, 1, 14]), tzinfo=zone)
    length = {Unit.HOUR: 40, Unit.DAY: 100, Unit.WEEK: 200, Unit.MONTH: 300, Unit.YEAR: 900}[unit]
    asked = boundaries(begin, begin + timedelta(days=length), unit, zone)
    firsts = [date(2025 + number // 12, number % 12 + 1, 1) for number in range(30)]
    months = [closed(number, first, rng.randrange(10**6)) for number, first in enumerate(firsts) if rng.random() < 0.5]
    cuts = ClosedCuts.of(months, asked, ShownFigures.CLOSED)
    known = [rng.randrange(10**6) for _ in cuts.cuts[1:]]

    def now(start: datetime, end: datetime) -> int:
        return sum(value for at, value in zip(cuts.cuts, known, strict=False) if start <= at < end)

    def plain(start: datetime, end: datetime) -> int:
        found = now(start, end)
        for month in months:
            ends = month.month.begin, month.month.end
            if is_first(start, BERLIN) and is_first(end, BERLIN) and start <= ends[0] and ends[1] <= end:
                found += int(month.figures[POINT].energy or 0) - now(*ends)
        return found

    expected = [plain(*ends) for ends in pairwise(asked)]
    assert book(cuts, known) == (expected, plain(asked[0], asked[-1]))
    current = ClosedCuts.of(months, asked, ShownFigures.CURRENT)
    assert list(current.cuts) == asked and current.months == cuts.months
    few = [now(*ends) for ends in pairwise(asked)]
    assert book(current, few) == (few, sum(few))


MARCH = [month_from(date(2026, 3, 1), BERLIN).begin, month_from(date(2026, 3, 1), BERLIN).end]


def test_the_first_closing_of_a_point_counts_and_others_leave_it_alone() -> None:
    months = [closed(4, date(2026, 3, 1), 40), closed(2, date(2026, 3, 1), 20), closed(1, date(2026, 3, 1), 9, point=8)]
    assert book(ClosedCuts.of(months, MARCH, ShownFigures.CLOSED), [50]) == ([20], 20)


def test_a_figure_that_cannot_stand_in_an_answer_is_left_out() -> None:
    cuts = ClosedCuts.of([closed(1, date(2026, 3, 1), 40)], MARCH, ShownFigures.CLOSED)
    found = cuts.book(POINT, [50], sum, lambda kept, now: None)
    assert (found.buckets, found.total, found.in_total) == ([50], 50, frozenset())
    assert [month.period for month in found.months] == [1]


def test_months_of_another_clock_are_known_but_not_used() -> None:
    utc = [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)]
    cuts = ClosedCuts.of([closed(1, date(2026, 3, 1), 40)], utc, ShownFigures.CLOSED)
    assert cuts.cuts == utc and [month.name for month in cuts.months] == ["2026-03"]
    assert book(cuts, [50]) == ([50], 50)
