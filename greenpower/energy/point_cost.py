"""The costs of points of a site, each by its own tariff: what has to be read for them, and the sums.

What belongs here: which points have which tariff, and what has to be known of them. What does not: adding up counters
(`point_sums`), what a line of a bill is (`cost`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenpower.energy.closed_month import ClosedMonth
from greenpower.energy.cost import CostBook, CostGroups, valid_version
from greenpower.energy.month import Month, months
from greenpower.energy.point import Point
from greenpower.energy.rate_calendar import RateCalendar
from greenpower.energy.site import EnergySite, PointTariff, SiteTariff
from greenpower.energy.tariff import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class PointBook:
    """A point with a tariff, and what its costs are made from. month_minutes: the months with a demand charge, and over
    how many minutes each averages."""

    point: Point
    tariff: PointTariff
    book: CostBook
    month_minutes: Sequence[tuple[Month, int]]


def point_books(
    site: EnergySite, points: Iterable[Point], buckets: Sequence[datetime], gone: Mapping[int, PointTariff]
) -> list[PointBook]:
    """The books of points that have a tariff. buckets: boundaries. gone: tariffs of closed months, by the number of the
    point, for points that have none any more."""
    groups: dict[tuple[int, Direction], CostGroups] = {}
    found = []
    for point in points:
        chosen = site.tariff_of(point) or gone.get(point.number)
        if chosen is None:
            continue
        versions = chosen.tariff.versions
        key = (chosen.tariff.number, chosen.direction)
        if key not in groups:
            spans = list(RateCalendar(versions, chosen.direction).spans(buckets[0], buckets[-1]))
            groups[key] = CostGroups.of(buckets, spans)
        book = CostBook(
            buckets=buckets, groups=groups[key], versions=versions, direction=chosen.direction, fixed=chosen.own
        )
        found.append(PointBook(point=point, tariff=chosen, book=book, month_minutes=_months(chosen, book)))
    return found


def closed_tariffs(points: Iterable[Point], months: Sequence[ClosedMonth]) -> dict[int, PointTariff]:
    """By the number of the point, a tariff without versions in the currency in which closed months were paid: what they
    cost stays where the point has no tariff any more."""
    found = {}
    for point in points:
        figures = (month.figures[point.number] for month in months if point.number in month.figures)
        paid = next((figure for figure in figures if figure.currency is not None), None)
        if paid is not None:
            tariff = SiteTariff(
                number=paid.tariff_id or 0,
                name="",
                carrier=point.carrier,
                currency=paid.currency or "",
                timezone="UTC",
                is_default=False,
                versions=(),
            )
            found[point.number] = PointTariff(tariff=tariff, direction=Direction.IMPORT, own=False)
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
