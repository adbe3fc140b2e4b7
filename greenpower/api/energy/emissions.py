"""`/api/energy/emissions/`: kg of CO2 that the energy of meter points stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
from flask import Response

from greenpower.api.energy.cost import decimal_text
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
from greenpower.api.energy.point_query import Asked, ComparedQuery, ask, read_points
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import get_context
from greenpower.api.http.json import answer
from greenpower.energy.amount import Amount, slices_between, sum_next
from greenpower.energy.emission import EmissionBook
from greenpower.energy.money import total
from greenpower.energy.point import Point
from greenpower.energy.site import read_factors
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

DESCRIPTION = """The energy of each point times the factor of its carrier and role that is valid on the day, by the
site's clock (DEVICE_TIMEZONE). Exact decimal numbers, as texts. Points without a factor are not in it."""


class EmissionValues(ma.Schema):
    """Emissions."""

    kg = ma.fields.String(
        required=True, allow_none=True, metadata=describe("kg of CO2; null: nothing is known", example="4.5012")
    )
    energy = ma.fields.Nested(AmountSchema, required=True)


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


class EmissionSchema(CalendarHead, CorrectionsSchema):
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
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary="CO2 of meter points by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(ComparedQuery)
    @blueprint.response(200, EmissionSchema)
    def emissions(query: dict[str, Any]) -> Response:
        return answer(find_emissions(query))


def find_emissions(query: dict[str, Any]) -> Document:
    """The answer to a loaded ComparedQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    factors = read_factors(db.session)
    db.session.rollback()
    zone = ZoneInfo(get_context().settings.device_timezone)
    books = {point: EmissionBook.of(factors, point.carrier, point.role, zone) for point in asked.points}
    books = {point: book for point, book in books.items() if book.factors}
    found = _emitted(asked, books, asked.boundaries)
    before = _emitted(asked, books, asked.compared) if asked.compared else None
    tops = asked.site.top(books)
    whole: Document = {}
    kilograms = found.sum(tops)
    if asked.before is not None:
        known = None if before is None else before.sum(tops)
        whole = {"compared_kg": _text(known), "change": change(kilograms, known)}
    return {
        **calendar_head(asked),
        "compared_with": comparison(asked),
        "kg": decimal_text(kilograms or Decimal(0)),
        **whole,
        "points": [
            {
                **point_head(point, asked.site),
                **_rows(asked, found.buckets[point.number], None if before is None else before.buckets[point.number]),
            }
            for point in books
        ],
        "corrections": corrections_of(found.corrections),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Emitted:
    """Emissions and energy of each bucket, by the number of the point. Emissions are None where nothing is known."""

    buckets: Mapping[int, Sequence[tuple[Decimal | None, Amount]]]
    corrections: Sequence[CorrectionDocument]

    def sum(self, points: Iterable[Point]) -> Decimal | None:
        """The emissions of some points."""
        return _sum(kg for point in points for kg, _ in self.buckets[point.number])


def _emitted(asked: Asked, books: Mapping[Point, EmissionBook], buckets: Sequence[datetime]) -> _Emitted:
    ends = buckets[0], buckets[-1]
    cuts = sorted({*buckets, *(cut for book in books.values() for cut in book.cuts(*ends))})
    found = read_points(asked, books, cuts)
    rows = {}
    for point, book in books.items():
        amounts = found.amounts[point.number]
        parts = [book.kilograms(begin, amount) for begin, amount in zip(cuts, amounts, strict=False)]
        rows[point.number] = [(_sum(parts[part]), sum_next(amounts[part])) for part in slices_between(buckets, cuts)]
    return _Emitted(buckets=rows, corrections=found.corrections)


def _rows(
    asked: Asked,
    buckets: Sequence[tuple[Decimal | None, Amount]],
    before: Sequence[tuple[Decimal | None, Amount]] | None,
) -> Document:
    kilograms = _sum(kg for kg, _ in buckets)
    rows: Document = {"total": _row(kilograms, sum_next(energy for _, energy in buckets))}
    values = None
    if asked.before is not None:
        values = [_text(kg) for kg, _ in before or ()]
        known = _sum(kg for kg, _ in before or ())
        rows |= {"compared_total": _text(known), "change": change(kilograms, known)}
    return {**rows, "results": bucket_rows(asked, [_row(*bucket) for bucket in buckets], values)}


def _row(kilograms: Decimal | None, energy: Amount) -> Document:
    return {"kg": _text(kilograms), "energy": amount_row(energy)}


def _sum(parts: Iterable[Decimal | None]) -> Decimal | None:
    known = [part for part in parts if part is not None]
    return total(known) if known else None


def _text(kilograms: Decimal | None) -> str | None:
    return None if kilograms is None else decimal_text(kilograms)
