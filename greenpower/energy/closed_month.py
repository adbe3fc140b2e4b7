"""Closed months in a range of buckets: which figures of them an answer has, and where they lie between its cuts.

A stretch that begins and ends with months, by the clock by which they were closed, has their closed figures; any other
stretch has what is known now. Of a point that was closed twice for one month, as with its zone and then with the site,
the first closing counts. What belongs here: the months, and putting figures in place of what is known now. What does
not: what a figure says, and why it differs (`closing`), how an answer shows it (`greenpower.api.energy.closed_answer`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.energy.closing import Figure, FigureAdjustment
from greenpower.energy.month import Month, month_from
from greenpower.sql.closed_period import ClosedPeriod

Value = TypeVar("Value")
# Longer than a month, whatever the clock.
MONTH_MARGIN = timedelta(days=33)


class ShownFigures(StrEnum):
    """Which figures an answer has of closed months."""

    CLOSED = "closed"
    CURRENT = "current"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClosedMonth:
    """A month that is closed. period: its id. zone: by whose clock. figures: by the number of the meter point.
    is_shown: whether it may be named to whoever asks."""

    period: int
    month: Month
    zone: ZoneInfo
    figures: Mapping[int, Figure]
    is_shown: bool = True

    @property
    def shown_id(self) -> int | None:
        """Its id as answers have it."""
        return self.period if self.is_shown else None

    @property
    def name(self) -> str:
        """Such as 2026-03."""
        return f"{self.month.first:%Y-%m}"

    def overlaps(self, begin: datetime, end: datetime) -> bool:
        """Whether any of it lies in a stretch."""
        return self.month.begin < end and begin < self.month.end

    def is_boundary(self, at: datetime) -> bool:
        """Whether a month begins at a time, by its clock."""
        return month_from(at.astimezone(self.zone).date().replace(day=1), self.zone).begin == at

    def is_within(self, begin: datetime, end: datetime) -> bool:
        """Whether it is one of the months that a stretch consists of."""
        inside = begin <= self.month.begin and self.month.end <= end
        return inside and self.is_boundary(begin) and self.is_boundary(end)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedValues(Generic[Value]):
    """The values of a point with closed figures in them. buckets: of each bucket. months: those that touch the range.
    in_total, in_bucket: the periods whose figures are in the total, and in any bucket. adjustments: by period; None
    where a figure is still the same."""

    buckets: Sequence[Value]
    total: Value
    months: Sequence[ClosedMonth] = ()
    in_total: frozenset[int] = frozenset()
    in_bucket: frozenset[int] = frozenset()
    adjustments: Mapping[int, FigureAdjustment | None]


@dataclass(frozen=True, kw_only=True)
class ClosedCuts:
    """Boundaries of buckets, and the closed months among them. cuts: the boundaries, and the ends of months inside of a
    bucket that have figures of their own. bucket_months: of each bucket those that it consists of; total_months: the
    same of the whole."""

    boundaries: Sequence[datetime]
    cuts: Sequence[datetime]
    months: Sequence[ClosedMonth]
    bucket_months: Mapping[int, Sequence[ClosedMonth]]
    total_months: Sequence[ClosedMonth]

    @classmethod
    def of(cls, months: Iterable[ClosedMonth], boundaries: Sequence[datetime], shown: ShownFigures) -> ClosedCuts:
        """Those of some boundaries. With CURRENT figures no month has figures of its own."""
        touching = [month for month in months if month.overlaps(boundaries[0], boundaries[-1])]
        by_bucket: dict[int, list[ClosedMonth]] = {}
        total: list[ClosedMonth] = []
        cuts = set(boundaries)
        for month in touching if shown is ShownFigures.CLOSED else ():
            place = max(0, bisect_right(boundaries, month.month.begin) - 1)
            ends = month.month.begin, month.month.end
            whole = month.is_within(boundaries[place], boundaries[place + 1])
            if whole:
                by_bucket.setdefault(place, []).append(month)
                cuts.update(ends)
            if (whole or cuts.issuperset(ends)) and month.is_within(boundaries[0], boundaries[-1]):
                total.append(month)
        return cls(
            boundaries=boundaries,
            cuts=sorted(cuts),
            months=touching,
            bucket_months=by_bucket,
            total_months=total,
        )

    def book(
        self,
        point: int,
        pieces: Sequence[Value],
        add: Callable[[Sequence[Value]], Value],
        keep: Callable[[Figure, Value], tuple[Value, FigureAdjustment | None] | None],
    ) -> BookedValues[Value]:
        """The values of a point. pieces: what is known now between each two cuts. add: one after the other. keep: what
        a figure stands for, given what is known now of its month, and how that differs; None where it cannot stand in
        the answer, as in another currency."""
        months = self._of_point(point)
        if not months and len(pieces) == len(self.boundaries) - 1:
            return BookedValues(buckets=pieces, total=add(pieces), adjustments={})
        places = {cut: place for place, cut in enumerate(self.cuts)}
        spans = [slice(places[begin], places[end]) for begin, end in pairwise(self.boundaries)]
        kept: dict[int, tuple[slice, Value]] = {}
        adjustments: dict[int, FigureAdjustment | None] = {}
        wanted = [*self.total_months, *(month for several in self.bucket_months.values() for month in several)]
        for month in wanted:
            if month in months and month.period not in kept:
                span = slice(places[month.month.begin], places[month.month.end])
                found = keep(month.figures[point], add(pieces[span]))
                if found is not None:
                    kept[month.period], adjustments[month.period] = (span, found[0]), found[1]

        def value(span: slice, several: Sequence[ClosedMonth]) -> Value:
            whole, at = [], span.start
            for month in several:
                if month.period in kept and month in months:
                    own, figure = kept[month.period]
                    whole += [*pieces[at : own.start], figure]
                    at = own.stop
            whole += pieces[at : span.stop]
            return whole[0] if len(whole) == 1 else add(whole)

        return BookedValues(
            buckets=[value(span, self.bucket_months.get(place, ())) for place, span in enumerate(spans)],
            total=value(slice(0, len(pieces)), self.total_months),
            months=months,
            in_total=frozenset(month.period for month in self.total_months if month.period in kept),
            in_bucket=frozenset(
                month.period for several in self.bucket_months.values() for month in several if month.period in kept
            ),
            adjustments=adjustments,
        )

    def _of_point(self, point: int) -> list[ClosedMonth]:
        """The months that have a figure of a point: of several for one time the first that was closed."""
        found: list[ClosedMonth] = []
        for month in sorted(self.months, key=lambda item: item.period):
            ends = month.month.begin, month.month.end
            if point in month.figures and not any(other.overlaps(*ends) for other in found):
                found.append(month)
        return sorted(found, key=lambda item: item.month.begin)


def read_closed_months(
    session: Session | scoped_session[Any], ranges: Iterable[tuple[datetime, datetime]]
) -> list[ClosedMonth]:
    """The months in force that touch any of some ranges, in order. Raises SQLAlchemyError."""
    found: dict[int, ClosedMonth] = {}
    for begin, end in ranges:
        first = date.min if begin.year == date.min.year else (begin - MONTH_MARGIN).date()
        statement = select(ClosedPeriod).where(
            ClosedPeriod.reopened_at.is_(None), ClosedPeriod.month >= first, ClosedPeriod.month <= end.date()
        )
        for row in session.scalars(statement):
            month = closed_month(row)
            if month.overlaps(begin, end):
                found[row.id] = month
    return sorted(found.values(), key=lambda item: (item.month.begin, item.period))


def closed_month(row: ClosedPeriod) -> ClosedMonth:
    """A closed month from its row."""
    zone = ZoneInfo(row.timezone)
    figures = [Figure(**figure) for figure in row.figures]
    return ClosedMonth(
        period=row.id,
        month=month_from(row.month, zone),
        zone=zone,
        figures={figure.point_id: figure for figure in figures},
    )
