"""`/api/energy/demand/`: the highest average power of meter points, when it was, and the running interval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.point_answer import (
    BucketHead,
    CalendarHead,
    ComparisonSchema,
    PointHead,
    bucket_rows,
    calendar_head,
    change,
    change_field,
    comparison,
    point_head,
)
from greenpower.api.energy.point_query import Asked, ComparedQuery, ask, check_intervals, read_points
from greenpower.api.energy.tariffs_schema import is_demand_minutes
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.json import answer
from greenpower.energy.amount import Amount
from greenpower.energy.calendar import local_text
from greenpower.energy.demand import LOOK_BACK, Demand, RunningDemand, demands, intervals, peak, running
from greenpower.energy.point import Point
from greenpower.energy.tariff import DEMAND_MINUTES
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

DESCRIPTION = """Power is averaged over quarters or halves of a local hour. Where a meter was silent for longer, its
energy is averaged over the silence, so that a meter that comes back makes no peak. With `limit` the running interval
says whether the limit will be passed if it goes on as it did."""


class DemandQuery(ComparedQuery):
    """Which demand."""

    minutes = ma.fields.Integer(
        load_default=DEMAND_MINUTES[0],
        validate=(ma.validate.Range(*DEMAND_MINUTES), is_demand_minutes),
        metadata=describe("length of the intervals over which power is averaged: 15 or 30"),
    )
    limit = ma.fields.Float(
        allow_nan=False, validate=ma.validate.Range(0), metadata=describe("limit of the power, in the unit per hour")
    )


class DemandPeakSchema(ma.Schema):
    """The highest average power."""

    power = ma.fields.Float(required=True, metadata=describe("average power, in the unit per hour", example=42.4))
    start = ma.fields.String(required=True, metadata=describe("start of the interval, local time"))
    end = ma.fields.String(required=True, metadata=describe("end of the interval, local time"))
    averaged = ma.fields.Boolean(
        required=True, metadata=describe("whether it is averaged over a time without samples, longer than the interval")
    )
    final = ma.fields.Boolean(required=True, metadata=describe("whether no later sample is expected to change it"))
    undecided = ma.fields.Boolean(
        required=True, metadata=describe("whether energy is left out of it until an operator decides an incident")
    )


class DemandBucket(BucketHead):
    """The peak of a bucket."""

    peak = ma.fields.Nested(
        DemandPeakSchema, required=True, allow_none=True, metadata=describe("null: nothing is known of it")
    )
    compared = ma.fields.Float(
        allow_none=True,
        metadata=describe("peak of the bucket that it is compared with; only with `compare`"),
    )


class RunningDemandSchema(ma.Schema):
    """The interval that goes on."""

    start = ma.fields.String(required=True, metadata=describe("its start, local time"))
    end = ma.fields.String(required=True, metadata=describe("its end, local time"))
    energy = ma.fields.Float(required=True, metadata=describe("energy so far"))
    known_until = ma.fields.String(
        required=True, allow_none=True, metadata=describe("time of the newest sample in it; null: there is none yet")
    )
    forecast = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("average power at its end if it goes on as it did")
    )
    exceeds = ma.fields.Boolean(
        required=True, allow_none=True, metadata=describe("whether that is above `limit`; null: nobody can tell")
    )


class PointDemandSchema(PointHead):
    """The demand of a point."""

    power_unit = ma.fields.String(required=True, metadata=describe("unit of powers", example="kW"))
    peak = ma.fields.Nested(DemandPeakSchema, required=True, allow_none=True, metadata=describe("of the whole range"))
    compared_peak = ma.fields.Float(
        allow_none=True,
        metadata=describe("peak of the range that it is compared with; only with `compare`"),
    )
    change = change_field(" of the power")
    results = ma.fields.List(ma.fields.Nested(DemandBucket), required=True)
    running = ma.fields.Nested(
        RunningDemandSchema, required=True, allow_none=True, metadata=describe("null: the range does not reach to now")
    )


class DemandSchema(CalendarHead):
    """The demand of points."""

    minutes = ma.fields.Integer(required=True, metadata=describe("length of the intervals"))
    compared_with = ma.fields.Nested(ComparisonSchema, required=True, allow_none=True)
    points = ma.fields.List(ma.fields.Nested(PointDemandSchema), required=True)


def add_demand(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/demand/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Highest average power of meter points", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(DemandQuery)
    @blueprint.response(200, DemandSchema)
    def demand(query: dict[str, Any]) -> Response:
        return answer(find_demand(query))


def find_demand(query: dict[str, Any]) -> Document:
    """The answer to a loaded DemandQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    begin, step = asked.boundaries[0], timedelta(minutes=query["minutes"])
    begun = max(1, -((begin - asked.now) // step))
    end = min(asked.boundaries[-1], begin + begun * step)
    check_intervals(asked, begin, end, query["minutes"])
    cuts = intervals(begin - LOOK_BACK, end, query["minutes"])
    found = read_points(asked, asked.points, cuts)
    before = _before(asked, query["minutes"])
    return {
        **calendar_head(asked),
        "minutes": query["minutes"],
        "compared_with": comparison(asked),
        "points": [
            {
                **point_head(point, asked.site),
                "power_unit": power_unit(point),
                **_demand(asked, cuts, found.amounts[point.number], before.get(point.number, ()), query),
            }
            for point in asked.points
        ],
    }


def power_unit(point: Point) -> str:
    """The unit of a point's powers."""
    unit = point.carrier.unit
    return unit.removesuffix("h") if unit.endswith("Wh") else f"{unit}/h"


def _before(asked: Asked, minutes: int) -> dict[int, list[Demand]]:
    """What the intervals of the range that is compared with had."""
    if not asked.compared:
        return {}
    check_intervals(asked, asked.compared[0], asked.compared[-1], minutes)
    cuts = intervals(asked.compared[0] - LOOK_BACK, asked.compared[-1], minutes)
    found = read_points(asked, asked.points, cuts)
    return {
        number: list(demands(cuts, amounts, minutes, asked.compared[0])) for number, amounts in found.amounts.items()
    }


def _demand(
    asked: Asked,
    cuts: Sequence[datetime],
    amounts: Sequence[Amount],
    before: Sequence[Demand],
    query: dict[str, Any],
) -> Document:
    minutes = query["minutes"]
    goes_on = cuts[-2] <= asked.now < cuts[-1]
    ended = len(amounts) - goes_on
    all_demands = list(demands(cuts[: ended + 1], amounts[:ended], minutes, asked.boundaries[0]))
    rows = [{"peak": _peak(asked, found)} for found in _peaks(asked.boundaries, all_demands)]
    last = None
    if goes_on:
        last = _running(asked, running(cuts[-2], cuts[-1], amounts[-1], amounts[-1].last_at), query.get("limit"))
    highest = peak(all_demands)
    compared: Document = {}
    values = None
    if asked.before is not None:
        values = [_power(found) for found in _peaks(asked.compared, before)]
        known = _power(peak(before))
        compared = {"compared_peak": known, "change": change(_power(highest), known)}
    return {
        "peak": _peak(asked, highest),
        **compared,
        "results": bucket_rows(asked, rows, values),
        "running": last,
    }


def _peaks(boundaries: Sequence[datetime], several: Sequence[Demand]) -> list[Demand | None]:
    """The highest between each two boundaries."""
    return [peak(item for item in several if begin <= item.begin < end) for begin, end in pairwise(boundaries)]


def _power(found: Demand | None) -> float | None:
    return None if found is None else float(found.power)


def _peak(asked: Asked, found: Demand | None) -> Document | None:
    if found is None:
        return None
    return {
        "power": float(found.power),
        "start": local_text(found.begin, asked.zone),
        "end": local_text(found.end, asked.zone),
        "averaged": found.averaged,
        "final": found.final,
        "undecided": found.undecided,
    }


def _running(asked: Asked, found: RunningDemand, limit: float | None) -> Document:
    exceeds = None
    if found.forecast is not None and limit is not None:
        exceeds = found.forecast > Fraction(limit)
    return {
        "start": local_text(found.begin, asked.zone),
        "end": local_text(found.end, asked.zone),
        "energy": Amount(energy=found.energy, counted=True).value,
        "known_until": None if found.known_until is None else local_text(found.known_until, asked.zone),
        "forecast": None if found.forecast is None else float(found.forecast),
        "exceeds": exceeds,
    }
