"""Reading what costs are made from, for answers: energy in groups of stretches, and the highest demand of months.

What belongs here: what it may cost. What does not: adding it up (`greenpower.energy.point_sums`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import pymongo
from flask import current_app

from greenpower.api.energy.consumption_cost import check_documents
from greenpower.api.energy.moved_boundaries import nearest_quarter
from greenpower.api.energy.point_query import POINTS_SECONDS, Asked, open_reader
from greenpower.api.http.turns import turn
from greenpower.energy.amount import Amount
from greenpower.energy.cost import CostGroups
from greenpower.energy.demand import PeakDemand
from greenpower.energy.month import Month
from greenpower.energy.point import Point
from greenpower.energy.point_reader import PointEnergy
from greenpower.energy.point_sums import read_peaks, read_point_groups

DAYS_OF_MONTH = 32


def read_grouped(
    asked: Asked, points: Sequence[Point], buckets: Sequence[datetime], groups: CostGroups
) -> tuple[PointEnergy, Mapping[int, Sequence[Amount]]]:
    """What points counted in buckets, and in groups of the stretches between their boundaries. Aborts with 422 for what
    costs too much. Raises PyMongoError."""
    cuts = [nearest_quarter(cut) for cut in groups.cuts]
    reader, cost = open_reader(asked, points, buckets, cuts)
    with turn(current_app, cost), pymongo.timeout(POINTS_SECONDS):
        found, sums = read_point_groups(reader, cuts, groups.numbers, len(groups.rates))
    # What is paid is what is shown, also where corrections spread energy over stretches.
    for number, amounts in found.amounts.items():
        for amount in amounts:
            amount.energy = 0
        for (bucket, _), part in zip(groups.rates, sums[number], strict=True):
            amounts[bucket].energy += part.energy
    return found, sums


def read_point_peaks(
    asked: Asked, wanted: Sequence[tuple[Point, Sequence[tuple[Month, int]]]]
) -> Mapping[int, Mapping[date, PeakDemand]]:
    """By point, and by the first day of the month, the highest demand. wanted: months, and over how many minutes each
    averages. Aborts with 422 for what costs too much. Raises PyMongoError."""
    by_month: dict[tuple[Month, int], list[Point]] = {}
    for point, months in wanted:
        for pair in months:
            by_month.setdefault(pair, []).append(point)
    parts = sum(len(point.parts) for several in by_month.values() for point in several)
    check_documents(DAYS_OF_MONTH * parts, max(1, len(wanted)))
    found: dict[int, dict[date, PeakDemand]] = {}
    for (month, minutes), several in by_month.items():
        reader, cost = open_reader(asked, several, (month.begin, month.end))
        with turn(current_app, cost), pymongo.timeout(POINTS_SECONDS):
            for number, peak in read_peaks(reader, month, minutes).items():
                found.setdefault(number, {})[month.first] = peak
    return found
