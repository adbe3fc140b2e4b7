"""`/api/energy/consumption/`: what meter points counted, by calendar buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.point_answer import (
    AmountSchema,
    CalendarHead,
    ComparisonSchema,
    CorrectionsSchema,
    PointBucketSchema,
    PointHead,
    amount_row,
    bucket_rows,
    calendar_head,
    change,
    comparison,
    corrections_of,
    point_head,
)
from greenpower.api.energy.point_query import Asked, ComparedQuery, ask, read_points
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.json import answer
from greenpower.energy.amount import Amount, sum_next
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

DESCRIPTION = """What a meter point counted is the sum of what its counters did, each for its time. Every stretch has
one answer, wherever the range begins, and buckets add up exactly."""


class PointEnergySchema(PointHead):
    """What a point counted."""

    total = ma.fields.Nested(AmountSchema, required=True)
    compared_total = ma.fields.Float(
        allow_none=True, metadata=describe("what it was in the range that it is compared with; only with `compare`")
    )
    change = ma.fields.Float(
        allow_none=True, metadata=describe("change as a part of that, 0.1 for 10 % more; only with `compare`")
    )
    results = ma.fields.List(ma.fields.Nested(PointBucketSchema), required=True)


class PointConsumptionSchema(CalendarHead, CorrectionsSchema):
    """What points counted."""

    compared_with = ma.fields.Nested(ComparisonSchema, required=True, allow_none=True)
    points = ma.fields.List(ma.fields.Nested(PointEnergySchema), required=True)


def add_point_consumption(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/consumption/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary="Energy of meter points by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(ComparedQuery)
    @blueprint.response(200, PointConsumptionSchema)
    def point_consumption(query: dict[str, Any]) -> Response:
        return answer(find_point_consumption(query))


def find_point_consumption(query: dict[str, Any]) -> Document:
    """The answer to a loaded ComparedQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    found = read_points(asked, asked.points, asked.boundaries)
    before = {}
    if asked.before is not None and len(asked.before) > 1:
        before = dict(read_points(asked, asked.points, asked.before).amounts)
    return {
        **calendar_head(asked),
        "compared_with": comparison(asked),
        "points": [
            {
                **point_head(point, asked.site),
                **_rows(asked, found.amounts[point.number], before.get(point.number)),
            }
            for point in asked.points
        ],
        "corrections": corrections_of(found.corrections),
    }


def _rows(asked: Asked, amounts: Sequence[Amount], before: Sequence[Amount] | None) -> Document:
    total = sum_next(amounts)
    values = None if asked.before is None else [amount.value for amount in before or ()]
    rows: Document = {"total": amount_row(total)}
    if asked.before is not None:
        known = sum_next(before or ())
        rows["compared_total"] = known.value
        rows["change"] = change(total.value, known.value)
    return {**rows, "results": bucket_rows(asked, map(amount_row, amounts), values)}
