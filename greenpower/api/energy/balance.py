"""`/api/energy/balance/`: where energy comes from, where it goes, and what no meter sees."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.closed_answer import ClosedMonthSchema, FiguresHead, balance_rows, book_amounts
from greenpower.api.energy.point_answer import (
    AmountSchema,
    BucketHead,
    CalendarHead,
    ComparisonSchema,
    CorrectionsSchema,
    PointHead,
    amount_row,
    bucket_rows,
    calendar_head,
    change,
    comparison,
    corrections_of,
    point_head,
)
from greenpower.api.energy.point_query import Asked, FiguresQuery, ask, read_points
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.json import answer
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.amount import UNIT
from greenpower.energy.balance import Balance, balances, unmetered_below
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

DESCRIPTION = """Consumption is what sources bring (grid_import, solar, generator, battery_out) without what leaves
(grid_export, battery_in); where no point brings energy, the sum of the loads. `unmetered` is the part of it that no
load has. Only the topmost points count: what lies below one of them is in it. `points` has, for each point with points
below it, what it has and those have not. Of closed months the amounts of points are those that they were closed with:
see `figures`."""


class BalanceValues(ma.Schema):
    """A balance."""

    roles = ma.fields.Dict(
        keys=ma.fields.Enum(PointRole, by_value=True),
        values=ma.fields.Nested(AmountSchema),
        required=True,
        metadata=describe("what the topmost points of each role counted"),
    )
    consumption = ma.fields.Nested(AmountSchema, required=True)
    unmetered = ma.fields.Nested(
        AmountSchema, required=True, allow_none=True, metadata=describe("consumption without the loads; null: no loads")
    )
    solar_used = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("solar energy that was not sold; null: no solar point")
    )
    self_sufficiency = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("part of the consumption that the grid did not bring, 0 to 1")
    )
    closed = ma.fields.List(
        ma.fields.Nested(ClosedMonthSchema),
        required=True,
        metadata=describe("the closed months that it is of; kept: amounts of points have their closed figures"),
    )


class BalanceBucket(BucketHead, BalanceValues):
    """The balance of a bucket."""

    compared = ma.fields.Float(
        allow_none=True, metadata=describe("consumption of the bucket that it is compared with; only with `compare`")
    )


class UnmeteredSchema(PointHead):
    """What a point has, and the points below it have not."""

    unmetered = ma.fields.Nested(AmountSchema, required=True)


class BalanceSchema(CalendarHead, FiguresHead, CorrectionsSchema):
    """The balance of a site or zone."""

    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("the carrier"))
    unit = ma.fields.String(required=True, metadata=describe("unit of all amounts", example="kWh"))
    compared_with = ma.fields.Nested(ComparisonSchema, required=True, allow_none=True)
    total = ma.fields.Nested(BalanceValues, required=True)
    compared_total = ma.fields.Float(
        allow_none=True, metadata=describe("consumption of the range that it is compared with; only with `compare`")
    )
    change = ma.fields.Float(
        allow_none=True, metadata=describe("change of the consumption as a part of that; only with `compare`")
    )
    results = ma.fields.List(ma.fields.Nested(BalanceBucket), required=True)
    points = ma.fields.List(ma.fields.Nested(UnmeteredSchema), required=True)


def add_balance(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/balance/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Where energy comes from and goes, by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(FiguresQuery)
    @blueprint.response(200, BalanceSchema)
    def balance(query: dict[str, Any]) -> Response:
        return answer(find_balance(query))


def find_balance(query: dict[str, Any]) -> Document:
    """The answer to a loaded FiguresQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    carrier = query.setdefault("carrier", Carrier.ELECTRICITY)
    asked = ask(query)
    # What lies below a point is read even where it lies in another zone.
    below = {inner.number: inner for point in asked.points for inner in asked.site.below.get(point.number, ())}
    points = list({**below, **{point.number: point for point in asked.points}}.values())
    found = read_points(asked, points, asked.closed_cuts.cuts)
    booked = book_amounts(asked.closed_cuts, points, found.amounts)
    buckets = {number: item.buckets for number, item in booked.items()}
    whole = {number: [item.total] for number, item in booked.items()}
    by_bucket = balances(asked.site, asked.points, buckets, len(asked.boundaries) - 1)
    total = balances(asked.site, asked.points, whole, 1)[0]
    closed, closed_buckets = balance_rows(asked, [booked[point.number] for point in asked.points])
    rows = [{**_row(item), "closed": of} for item, of in zip(by_bucket, closed_buckets, strict=True)]
    rests = [(point, unmetered_below(asked.site, point, whole, 0)) for point in asked.points]
    compared_total: Document = {}
    values = None
    if asked.before is not None:
        several, then = _before(asked)
        values = [item.consumption.value for item in several]
        known = None if then is None else then.consumption.value
        compared_total = {"compared_total": known, "change": change(total.consumption.value, known)}
    return {
        **calendar_head(asked),
        "figures": asked.figures.value,
        "carrier": carrier.value,
        "unit": carrier.unit,
        "compared_with": comparison(asked),
        "total": {**_row(total), "closed": closed},
        **compared_total,
        "results": bucket_rows(asked, rows, values),
        "points": [
            {**point_head(point, asked.site), "unmetered": amount_row(rest)}
            for point, rest in rests
            if rest is not None
        ],
        "corrections": corrections_of(found.corrections),
    }


def _before(asked: Asked) -> tuple[list[Balance], Balance | None]:
    """What is compared with: of each bucket, and of all of them."""
    cuts = asked.compared_cuts
    if cuts is None:
        return [], None
    booked = book_amounts(cuts, asked.points, read_points(asked, asked.points, cuts.cuts).amounts)
    buckets = {number: item.buckets for number, item in booked.items()}
    whole = {number: [item.total] for number, item in booked.items()}
    return (
        balances(asked.site, asked.points, buckets, len(cuts.boundaries) - 1),
        balances(asked.site, asked.points, whole, 1)[0],
    )


def _row(item: Balance) -> Document:
    return {
        "roles": {role.value: amount_row(amount) for role, amount in item.roles.items()},
        "consumption": amount_row(item.consumption),
        "unmetered": None if item.unmetered is None else amount_row(item.unmetered),
        "solar_used": None if item.solar_used is None else item.solar_used / UNIT,
        "self_sufficiency": item.self_sufficiency,
    }
