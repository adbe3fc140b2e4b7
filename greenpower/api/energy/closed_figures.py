"""The figures of a month, as they are answered now: to be kept when it is closed, and to be held against those kept.

What belongs here: asking for energy, cost and emissions of one month. What does not: how figures are compared
(`greenpower.energy.closing`), the routes (`periods`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from greenpower.api.energy.cost import find_cost
from greenpower.api.energy.emissions import find_emissions
from greenpower.api.energy.point_query import ask, read_points
from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.calendar import Unit
from greenpower.energy.closing import Figure
from greenpower.energy.money import decimal_text
from greenpower.energy.month import Month
from greenpower.mongo.client import Document


def find_figures(month: Month, zone: ZoneInfo, zone_id: int | None, points: Sequence[int] = ()) -> list[Figure]:
    """The figures of the points of a service zone, or of some points, or of all. Aborts with 422 for what costs too
    much. Raises PyMongoError, SQLAlchemyError."""
    query: dict[str, Any] = {"bucket": Unit.MONTH, "tz": zone, "point_id": list(points)}
    query |= {"start_time": month.begin, "end_time": month.end}
    if zone_id is not None:
        query["zone_id"] = zone_id
    asked = ask(query)
    amounts = read_points(asked, asked.points, asked.boundaries).amounts
    costs = {point["point_id"]: point for point in find_cost(query)["points"]}
    emissions = {point["point_id"]: point["total"]["kg"] for point in find_emissions(query)["points"]}
    found = []
    for point in asked.points:
        amount = amounts[point.number][0]
        figure = Figure(
            point_id=point.number,
            name=point.name,
            unit=point.carrier.unit,
            energy=_energy(amount),
            undecided=amount.undecided,
            corrections=sorted(str(name) for name in amount.corrections),
            parts=[part.stored() for part in point.parts],
            kg=emissions.get(point.number),
            **_cost(costs.get(point.number)),
        )
        found.append(figure)
    return found


def _energy(amount: Amount) -> str | None:
    return decimal_text(amount.exact) if amount.counted else None


def _cost(found: Document | None) -> dict[str, Any]:
    if found is None:
        return {}
    lines = found["total"]["lines"]
    return {
        "tariff_id": found["tariff_id"],
        "currency": found["currency"],
        "amount": found["total"]["amount"],
        "unpriced": decimal_text(Decimal(round(found["total"]["unpriced"] * UNIT)).scaleb(-9)),
        "versions": sorted({line["version_id"] for line in lines}),
        "lines": lines,
    }
