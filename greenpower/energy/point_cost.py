"""The costs of points of a site, each by its own tariff: what has to be read for them, and the sums.

What belongs here: which boundaries amounts are needed between, and the highest demand of months. What does not: reading
(`point_reader`), what a line of a bill is (`cost`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from greenpower.energy.amount import Amount, sum_next
from greenpower.energy.cost import Cost, CostBook, valid_version
from greenpower.energy.demand import Demand, demands, peak
from greenpower.energy.month import Month, months
from greenpower.energy.point import Point
from greenpower.energy.rate_calendar import RateCalendar, RateSpan
from greenpower.energy.site import EnergySite, PointTariff
from greenpower.energy.tariff import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class PointBook:
    """A point with a tariff, and what its costs are made from. month_minutes: the months with a demand charge, and over
    how many minutes each averages."""

    point: Point
    tariff: PointTariff
    book: CostBook
    month_minutes: Sequence[tuple[Month, int]]


def point_books(site: EnergySite, points: Iterable[Point], buckets: Sequence[datetime]) -> list[PointBook]:
    """The books of points that have a tariff. buckets: boundaries."""
    spans: dict[tuple[int, Direction], list[RateSpan]] = {}
    found = []
    for point in points:
        chosen = site.tariff_of(point)
        if chosen is None:
            continue
        versions = chosen.tariff.versions
        key = (chosen.tariff.number, chosen.direction)
        if key not in spans:
            spans[key] = list(RateCalendar(versions, chosen.direction).spans(buckets[0], buckets[-1]))
        book = CostBook(
            buckets=buckets, spans=spans[key], versions=versions, direction=chosen.direction, fixed=chosen.own
        )
        found.append(PointBook(point=point, tariff=chosen, book=book, month_minutes=_months(chosen, book)))
    return found


def _months(chosen: PointTariff, book: CostBook) -> list[tuple[Month, int]]:
    if not chosen.own or chosen.direction is Direction.EXPORT or not book.versions:
        return []
    found = []
    for month in months(book.buckets[0], book.buckets[-1], book.versions[0].zone):
        version = valid_version(book.versions, month.last)
        if version is not None and version.demand is not None:
            found.append((month, version.demand.minutes))
    return found


def cuts_of(books: Iterable[PointBook], buckets: Sequence[datetime]) -> list[datetime]:
    """The boundaries between which amounts are needed for all of them."""
    return sorted({*buckets, *(cut for item in books for cut in item.book.cuts)})


def costs_of(
    item: PointBook, cuts: Sequence[datetime], amounts: Sequence[Amount], peaks: Mapping[date, Demand]
) -> list[Cost]:
    """The cost of each bucket. cuts: those between which the amounts are; peaks: of the point's months."""
    own = set(item.book.cuts)
    gathered: list[Amount] = []
    for begin, amount in zip(cuts, amounts, strict=False):
        if begin in own:
            gathered.append(sum_next([amount]))
        else:
            gathered[-1].add_next(amount)
    return item.book.costs(gathered, peaks)


def highest(month: Month, minutes: int, amounts: Sequence[Amount]) -> Demand | None:
    """The highest demand of a month. amounts: of its intervals."""
    return peak(demands(month.intervals(minutes), amounts, minutes))
