"""`/api/energy/consumption/`: what meter points counted, by calendar buckets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.closed_answer import FiguresHead, book_amounts, closed_field, closed_rows
from greenpower.api.energy.divided import DividedHead, DividedQuery, Division, divide, divided_field
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
from greenpower.energy.amount import Amount
from greenpower.energy.closed_month import BookedValues
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

DESCRIPTION = """What a meter point counted is the sum of what its counters did, each for its time. Every stretch has
one answer, wherever the range begins, and buckets add up exactly. Of closed months the closed figures are told: see
`figures`; each value and its `adjustment` are what is known now."""


class PointBucketSchema(BucketHead, AmountSchema):
    """An amount in a calendar bucket."""

    compared = ma.fields.Float(
        allow_none=True, metadata=describe("what it was in the bucket that it is compared with; only with `compare`")
    )
    closed = closed_field()
    per = divided_field()


class PointTotalSchema(AmountSchema):
    """An amount in the whole range."""

    closed = closed_field()
    per = divided_field()


class PointConsumptionQuery(FiguresQuery, DividedQuery):
    """Which meter points, in which buckets, with what they are compared, and by what they are divided."""


class PointEnergySchema(PointHead):
    """What a point counted."""

    total = ma.fields.Nested(PointTotalSchema, required=True)
    compared_total = ma.fields.Float(
        allow_none=True, metadata=describe("what it was in the range that it is compared with; only with `compare`")
    )
    change = ma.fields.Float(
        allow_none=True, metadata=describe("change as a part of that, 0.1 for 10 % more; only with `compare`")
    )
    results = ma.fields.List(ma.fields.Nested(PointBucketSchema), required=True)


class PointConsumptionSchema(CalendarHead, FiguresHead, CorrectionsSchema, DividedHead):
    """What points counted."""

    compared_with = ma.fields.Nested(ComparisonSchema, required=True, allow_none=True)
    points = ma.fields.List(ma.fields.Nested(PointEnergySchema), required=True)


def add_point_consumption(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/consumption/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Energy of meter points by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PointConsumptionQuery)
    @blueprint.response(200, PointConsumptionSchema)
    def point_consumption(query: dict[str, Any]) -> Response:
        return answer(find_point_consumption(query))


def find_point_consumption(query: dict[str, Any]) -> Document:
    """The answer to a loaded FiguresQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    found = read_points(asked, asked.points, asked.closed_cuts.cuts)
    booked = book_amounts(asked.closed_cuts, asked.points, found.amounts)
    division = divide(asked, query)
    before: dict[int, BookedValues[Amount]] = {}
    if asked.compared_cuts is not None:
        known = read_points(asked, asked.points, asked.compared_cuts.cuts)
        before = book_amounts(asked.compared_cuts, asked.points, known.amounts)
    return {
        **calendar_head(asked),
        "figures": asked.figures.value,
        **division.head,
        "compared_with": comparison(asked),
        "points": [
            {
                **point_head(point, asked.site),
                **_rows(asked, division, booked[point.number], before.get(point.number)),
            }
            for point in asked.points
        ],
        "corrections": corrections_of(found.corrections),
    }


def _rows(
    asked: Asked, division: Division, booked: BookedValues[Amount], before: BookedValues[Amount] | None
) -> Document:
    closed, closed_buckets = closed_rows(asked, booked, lambda found: found.energy)
    whole = booked.total
    rows: Document = {"total": {**amount_row(whole), "closed": closed, **division.total(_exact(whole), whole)}}
    values = None
    if asked.before is not None:
        known = None if before is None else before.total.value
        rows |= {"compared_total": known, "change": change(booked.total.value, known)}
        values = [amount.value for amount in before.buckets] if before is not None else []
    found = (
        {**amount_row(amount), "closed": of, **division.bucket(place, _exact(amount), amount)}
        for place, (amount, of) in enumerate(zip(booked.buckets, closed_buckets, strict=True))
    )
    return {**rows, "results": bucket_rows(asked, found, values)}


def _exact(amount: Amount) -> Decimal | None:
    return amount.exact if amount.counted else None
