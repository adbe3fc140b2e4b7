"""`/api/energy/emissions/`: kg of CO2 that the energy of meter points stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
from flask import Response

from greenpower.api.energy.closed_answer import FiguresHead, closed_field, closed_rows
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
    change_field,
    comparison,
    corrections_of,
    point_head,
)
from greenpower.api.energy.point_query import Asked, FiguresQuery, ask, read_points
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import get_context
from greenpower.api.http.json import answer
from greenpower.energy.amount import slices_between, sum_next
from greenpower.energy.booked import BookedEmission, Bookkeeper, sum_emissions, sum_known
from greenpower.energy.closed_month import BookedValues, ClosedCuts
from greenpower.energy.emission import EmissionBook
from greenpower.energy.money import decimal_text
from greenpower.energy.point import Point
from greenpower.energy.site import read_factors
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

DESCRIPTION = """The energy of each point times the factor of its carrier and role that is valid on the day, by the
site's clock (DEVICE_TIMEZONE). Exact decimal numbers, as texts. Points without a factor are not in it. Of closed months
the closed figures are told: see `figures`; each value and its `adjustment` are what is known now."""


class EmissionValues(ma.Schema):
    """Emissions."""

    kg = ma.fields.String(
        required=True, allow_none=True, metadata=describe("kg of CO2; null: nothing is known", example="4.5012")
    )
    adjustment = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe("kg that are known now, less this; null: no figure of a closed month is in it", example="0"),
    )
    energy = ma.fields.Nested(AmountSchema, required=True)
    closed = closed_field()
    per = divided_field()


def _compared(what: str) -> ma.fields.String:
    return ma.fields.String(
        allow_none=True, metadata=describe(f"kg of CO2 of {what}; only with `compare`", example="4.5012")
    )


class EmissionBucket(BucketHead, EmissionValues):
    """The emissions of a bucket."""

    compared = _compared("the bucket that it is compared with")


class PointEmissionSchema(PointHead):
    """The emissions of a point."""

    total = ma.fields.Nested(EmissionValues, required=True)
    compared_total = _compared("the range that it is compared with")
    change = change_field()
    results = ma.fields.List(ma.fields.Nested(EmissionBucket), required=True)


class EmissionQuery(FiguresQuery, DividedQuery):
    """Which meter points, in which buckets, with what they are compared, and by what emissions are divided."""


class EmissionSchema(CalendarHead, FiguresHead, CorrectionsSchema, DividedHead):
    """The emissions of points."""

    kg = ma.fields.String(
        required=True, metadata=describe("the sum; points below a point of the answer are not added again")
    )
    compared_with = ma.fields.Nested(ComparisonSchema, required=True, allow_none=True)
    compared_kg = _compared("the range that it is compared with, the same sum")
    change = change_field(" of the sum")
    points = ma.fields.List(ma.fields.Nested(PointEmissionSchema), required=True)


def add_emissions(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/emissions/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="CO2 of meter points by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(EmissionQuery)
    @blueprint.response(200, EmissionSchema)
    def emissions(query: dict[str, Any]) -> Response:
        return answer(find_emissions(query))


def find_emissions(query: dict[str, Any]) -> Document:
    """The answer to a loaded FiguresQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    factors = read_factors(db.session)
    db.session.rollback()
    zone = ZoneInfo(get_context().settings.device_timezone)
    books = {point: EmissionBook.of(factors, point.carrier, point.role, zone) for point in asked.points}
    emitted = {number for month in asked.closed for number, figure in month.figures.items() if figure.kg is not None}
    books = {point: book for point, book in books.items() if book.factors or point.number in emitted}
    found, corrections = _emitted(asked, books, asked.closed_cuts)
    before = None if asked.compared_cuts is None else _emitted(asked, books, asked.compared_cuts)[0]
    division = divide(asked, query)
    tops = asked.site.top(books)
    whole: Document = {}
    kilograms = sum_known(found[point.number].total.kg for point in tops)
    if asked.before is not None:
        known = None if before is None else sum_known(before[point.number].total.kg for point in tops)
        whole = {"compared_kg": _text(known), "change": change(kilograms, known)}
    return {
        **calendar_head(asked),
        "figures": asked.figures.value,
        **division.head,
        "compared_with": comparison(asked),
        "kg": decimal_text(kilograms or Decimal(0)),
        **whole,
        "points": [
            {
                **point_head(point, asked.site),
                **_rows(asked, division, found[point.number], None if before is None else before[point.number]),
            }
            for point in books
        ],
        "corrections": corrections_of(corrections),
    }


def _emitted(
    asked: Asked, books: Mapping[Point, EmissionBook], closed: ClosedCuts
) -> tuple[Mapping[int, BookedValues[BookedEmission]], Sequence[CorrectionDocument]]:
    """Emissions by the number of the point, and the corrections of what they are made from."""
    ends = closed.cuts[0], closed.cuts[-1]
    cuts = sorted({*closed.cuts, *(cut for book in books.values() for cut in book.cuts(*ends))})
    found = read_points(asked, books, cuts)
    rows = {}
    for point, book in books.items():
        amounts = found.amounts[point.number]
        parts = [book.kilograms(begin, amount) for begin, amount in zip(cuts, amounts, strict=False)]
        pieces = [
            BookedEmission(sum_known(parts[part]), sum_next(amounts[part]))
            for part in slices_between(closed.cuts, cuts)
        ]
        rows[point.number] = closed.book(point.number, pieces, sum_emissions, Bookkeeper(point).emission)
    return rows, found.corrections


def _rows(
    asked: Asked,
    division: Division,
    booked: BookedValues[BookedEmission],
    before: BookedValues[BookedEmission] | None,
) -> Document:
    closed, closed_buckets = closed_rows(asked, booked, lambda found: found.kg)
    whole = booked.total
    rows: Document = {"total": {**_row(whole, closed), **division.total(whole.kg, whole.amount)}}
    values = None
    if asked.before is not None:
        known = None if before is None else before.total.kg
        rows |= {"compared_total": _text(known), "change": change(booked.total.kg, known)}
        values = [_text(item.kg) for item in before.buckets] if before is not None else []
    buckets = (
        {**_row(item, of), **division.bucket(place, item.kg, item.amount)}
        for place, (item, of) in enumerate(zip(booked.buckets, closed_buckets, strict=True))
    )
    return {**rows, "results": bucket_rows(asked, buckets, values)}


def _row(item: BookedEmission, closed: Sequence[Document]) -> Document:
    return {
        "kg": _text(item.kg),
        "adjustment": _text(item.adjustment),
        "energy": amount_row(item.amount),
        "closed": closed,
    }


def _text(kilograms: Decimal | None) -> str | None:
    return None if kilograms is None else decimal_text(kilograms)
