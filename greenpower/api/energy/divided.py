"""The parameter `per` of answers about meter points: each amount divided by a divisor.

What belongs here: the parameter, and how quotients look. What does not: divisors themselves (`divisors`), what they are
worth (`greenpower.energy.divisor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
import pymongo
from flask import current_app

from greenpower.api.energy.consumption_cost import check_documents
from greenpower.api.energy.moved_boundaries import nearest_quarter
from greenpower.api.energy.point_query import POINTS_SECONDS, Asked
from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import get_context, whole_database
from greenpower.api.http.errors import abort_query
from greenpower.api.http.turns import turn
from greenpower.energy.amount import Amount
from greenpower.energy.divisor import DivisorKind, DivisorValue, NoQuotient, quotient
from greenpower.energy.divisor_reader import DivisorValues, constant_values, counter_values
from greenpower.mongo.client import Document
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.sql import Divisor
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

MISSING = DivisorValue(value=None, final=False, coverage=0.0)


class DividedQuery(ma.Schema):
    """By what amounts are divided."""

    per = ma.fields.Integer(
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("also say each amount for one of this divisor, of `/api/energy/divisors/`", example=1),
    )


class QuotientSchema(ma.Schema):
    """An amount for one of the divisor."""

    value = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("amount divided by `divisor`; null: see `reason`")
    )
    divisor = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("what the divisor is worth in this time; null: not known")
    )
    reason = ma.fields.Enum(
        NoQuotient, by_value=True, required=True, allow_none=True, metadata=describe("why `value` is null")
    )
    final = ma.fields.Boolean(required=True, metadata=describe("whether both are final"))
    coverage = ma.fields.Float(required=True, metadata=describe("that of the worse of both"))


class DivisorHead(ma.Schema):
    """The divisor of an answer."""

    divisor_id = ma.fields.Integer(required=True, metadata=describe("the divisor"))
    name = ma.fields.String(required=True, metadata=describe("its name", example="Floor area"))
    unit = ma.fields.String(required=True, metadata=describe("its unit", example="m²"))


def divided_field() -> ma.fields.Nested:
    """The field `per` of a row."""
    return ma.fields.Nested(QuotientSchema, metadata=describe("the amount for one of the divisor; only with `per`"))


class DividedHead(ma.Schema):
    """By what the amounts of an answer are divided."""

    per = ma.fields.Nested(DivisorHead, metadata=describe("the divisor; only with `per`"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Divides the amounts of an answer. head: of the answer. values: None where nothing is divided."""

    head: Document
    values: DivisorValues | None

    def bucket(self, place: int, amount: Decimal | float | str | None, known: Amount) -> Document:
        """What the row of a bucket has besides. amount: None where nothing is known. known: how good it is."""
        return {} if self.values is None else _divided(self.values.buckets[place], amount, known)

    def total(self, amount: Decimal | float | str | None, known: Amount) -> Document:
        """The same of the whole range: not the sum of the quotients of its buckets."""
        return {} if self.values is None else _divided(self.values.total, amount, known)


def divide(asked: Asked, query: dict[str, Any]) -> Division:
    """What the amounts of a question are divided by. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    if "per" not in query:
        return Division(head={}, values=None)
    divisor = db.session.get(Divisor, query["per"])
    if divisor is None:
        db.session.rollback()
        abort_query("per", f"unknown divisor: {query['per']}")
    head = {"per": {"divisor_id": divisor.id, "name": divisor.name, "unit": divisor.unit}}
    found = _values(asked, divisor)
    db.session.rollback()
    return Division(head=head, values=found)


def _values(asked: Asked, divisor: Divisor) -> DivisorValues:
    context = get_context()
    if divisor.kind == DivisorKind.CONSTANT:
        return constant_values(divisor, asked.boundaries, ZoneInfo(context.settings.device_timezone))
    counter = divisor.content["counter"]
    datatype = context.registry.get(counter["type"])
    if datatype is None or counter["field"] not in {field.name for field in datatype.fields}:
        return DivisorValues(buckets=[MISSING] * (len(asked.boundaries) - 1), total=MISSING)
    cuts: Sequence[Any] = [nearest_quarter(boundary) for boundary in asked.boundaries]
    device = counter["device_id"]
    with pymongo.timeout(POINTS_SECONDS):
        reader = EnergyReader.open(whole_database(), datatype, context.settings, counter["field"], asked.now)
        documents = reader.count_documents([device], cuts)
        check_documents(documents, 1)
    with turn(current_app, documents), pymongo.timeout(POINTS_SECONDS):
        return counter_values(reader, device, cuts)


def _divided(by: DivisorValue, amount: Decimal | float | str | None, known: Amount) -> Document:
    exact = None if amount is None else Decimal(str(amount))
    found = quotient(exact, by, final=known.final, coverage=known.coverage)
    return {
        "per": {
            "value": _number(found.value),
            "divisor": _number(found.divisor),
            "reason": None if found.reason is None else found.reason.value,
            "final": found.final,
            "coverage": found.coverage,
        }
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
