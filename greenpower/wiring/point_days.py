"""Days of meter points and of the points below them, for the check of trees.

What belongs here: which points are compared, and which of their quarter-hours are known for certain. What does not: the
comparison (`tree`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pymongo.database import Database

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Carrier
from greenpower.energy.amount import Amount
from greenpower.energy.point import Point
from greenpower.energy.point_reader import PointReader
from greenpower.energy.site import EnergySite
from greenpower.mongo.client import Document
from greenpower.wiring.outcome import Outcome
from greenpower.wiring.tree import PointDay, ask_children

QUARTER = timedelta(minutes=15)
QUARTERS_PER_DAY = 96
LEAST_COVERAGE = 0.99


def ask_trees(
    db: Database[Document], registry: Registry, settings: Settings, site: EnergySite, end: datetime, now: datetime
) -> Iterator[tuple[Point, Outcome]]:
    """Each point of electricity with points below it, and what its day says. end: on a quarter-hour. Raises
    PyMongoError."""
    boundaries = [end - QUARTER * number for number in range(QUARTERS_PER_DAY, -1, -1)]
    sources = {point.number: point.role for point in site.points.values() if point.role.is_source}
    for point in site.points.values():
        below = [child for child in site.below.get(point.number, ()) if child.parts]
        if point.carrier is not Carrier.ELECTRICITY or not below or not point.parts:
            continue
        reader = PointReader(db, registry, settings, [point, *below], boundaries, now)
        amounts = reader.read().amounts
        days = [
            PointDay(number=one.number, name=one.name, role=one.role, quarters=[*map(_known, amounts[one.number])])
            for one in (point, *below)
        ]
        others = {role for number, role in sources.items() if number != point.number}
        yield point, ask_children(days[0], days[1:], others)


def _known(amount: Amount) -> float | None:
    certain = amount.counted and amount.coverage >= LEAST_COVERAGE and not amount.silence_s and not amount.estimated
    return amount.value if certain else None
