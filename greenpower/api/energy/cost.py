"""`/api/energy/cost/`: what meter points cost, by calendar buckets. Amounts are exact decimal numbers, as texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import marshmallow as ma
from flask import Response

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
from greenpower.api.energy.point_query import Asked, ComparedQuery, ask
from greenpower.api.energy.point_sums import read_grouped, read_point_peaks
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.json import answer
from greenpower.energy.amount import UNIT, Amount, sum_next
from greenpower.energy.cost import Cost, CostKind
from greenpower.energy.money import rounded
from greenpower.energy.point_cost import PointBook, point_books
from greenpower.energy.point_reader import PointEnergy
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.sql import RoleName

DESCRIPTION = """The cost of a point by its tariff: its own, else that of the next point above that has one, else the
default of its carrier. Only the point that has a tariff itself, or the grid's, pays standing and demand charges.
Amounts are exact; they add up over buckets and points, and `rounded` is for showing. The charge of a month's highest
demand is in the bucket in which that was. What is compared with is what it cost then, by the prices of then."""


class CostLineSchema(ma.Schema):
    """A line of a bill."""

    kind = ma.fields.Enum(CostKind, by_value=True, required=True, metadata=describe("what it is for"))
    name = ma.fields.String(required=True, metadata=describe("the rate or charge", example="night"))
    version_id = ma.fields.Integer(required=True, metadata=describe("version of the tariff"))
    price = ma.fields.String(required=True, metadata=describe("price of one", example="0.25"))
    quantity = ma.fields.String(required=True, metadata=describe("energy, days or kW", example="12.4"))
    amount = ma.fields.String(required=True, metadata=describe("exact amount", example="3.1"))


class CostValues(ma.Schema):
    """A cost."""

    amount = ma.fields.String(required=True, metadata=describe("exact amount", example="3.1"))
    rounded = ma.fields.String(required=True, metadata=describe("the same in whole minor units", example="3.10"))
    unpriced = ma.fields.Float(
        required=True, metadata=describe("energy for which the tariff has no price, which costs nothing here")
    )
    lines = ma.fields.List(ma.fields.Nested(CostLineSchema), required=True)
    energy = ma.fields.Nested(AmountSchema, required=True)


def _compared(what: str) -> ma.fields.String:
    return ma.fields.String(
        allow_none=True, metadata=describe(f"exact amount of {what}; only with `compare`", example="3.1")
    )


class CostBucket(BucketHead, CostValues):
    """The cost of a bucket."""

    compared = _compared("the bucket that it is compared with")


class PointCostSchema(PointHead):
    """The cost of a point."""

    tariff_id = ma.fields.Integer(required=True, metadata=describe("its tariff"))
    tariff = ma.fields.String(required=True, metadata=describe("name of the tariff"))
    currency = ma.fields.String(required=True, metadata=describe("currency", example="EUR"))
    total = ma.fields.Nested(CostValues, required=True)
    compared_total = _compared("the range that it is compared with")
    change = change_field()
    results = ma.fields.List(ma.fields.Nested(CostBucket), required=True)


class CurrencyTotal(ma.Schema):
    """The sum over points of a currency. Points below a point of the answer are in that one, and not added again."""

    currency = ma.fields.String(required=True, metadata=describe("currency", example="EUR"))
    amount = ma.fields.String(required=True, metadata=describe("exact amount", example="3.1"))
    rounded = ma.fields.String(required=True, metadata=describe("the same in whole minor units", example="3.10"))
    compared_amount = _compared("the range that it is compared with")
    change = change_field()


class CostSchema(CalendarHead, CorrectionsSchema):
    """What points cost."""

    compared_with = ma.fields.Nested(ComparisonSchema, required=True, allow_none=True)

    totals = ma.fields.List(ma.fields.Nested(CurrencyTotal), required=True)
    points = ma.fields.List(ma.fields.Nested(PointCostSchema), required=True)
    without_tariff = ma.fields.List(
        ma.fields.Nested(PointHead), required=True, metadata=describe("points that have no tariff")
    )


def add_cost(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/cost/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary="Cost of meter points by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(ComparedQuery)
    @blueprint.response(200, CostSchema)
    def cost(query: dict[str, Any]) -> Response:
        return answer(find_cost(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bills:
    """The costs of points in some buckets, of each bucket by the number of the point. found: what they counted."""

    books: Sequence[PointBook]
    found: PointEnergy
    costs: Mapping[int, Sequence[Cost]]


def find_cost(query: dict[str, Any]) -> Document:
    """The answer to a loaded ComparedQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    bills = _bills(asked, asked.boundaries)
    before = _bills(asked, asked.compared).costs if asked.compared else {}
    priced = {item.point.number for item in bills.books}
    return {
        **calendar_head(asked),
        "compared_with": comparison(asked),
        "totals": _totals(asked, bills, before),
        "points": [_point(asked, item, bills, before.get(item.point.number, ())) for item in bills.books],
        "without_tariff": [point_head(point, asked.site) for point in asked.points if point.number not in priced],
        "corrections": corrections_of(bills.found.corrections),
    }


def _bills(asked: Asked, buckets: Sequence[datetime]) -> _Bills:
    books = point_books(asked.site, asked.points, buckets)
    # Points with one tariff and direction share their groups.
    shared: dict[int, list[PointBook]] = {}
    for item in books:
        shared.setdefault(id(item.book.groups), []).append(item)
    peaks = read_point_peaks(asked, [(item.point, item.month_minutes) for item in books])
    amounts: dict[int, Sequence[Amount]] = {}
    corrections: list[CorrectionDocument] = []
    costs = {}
    for several in shared.values():
        groups = several[0].book.groups
        found, sums = read_grouped(asked, [item.point for item in several], buckets, groups)
        for item in several:
            number = item.point.number
            costs[number] = item.book.costs(sums[number], peaks.get(number))
        amounts |= found.amounts
        corrections += found.corrections
    return _Bills(books=books, found=PointEnergy(amounts=amounts, corrections=corrections), costs=costs)


def _point(asked: Asked, item: PointBook, bills: _Bills, before: Sequence[Cost]) -> Document:
    currency = item.tariff.tariff.currency
    amounts = bills.found.amounts[item.point.number]
    costs = bills.costs[item.point.number]
    rows = [_cost_row(cost, currency, amount) for amount, cost in zip(amounts, costs, strict=True)]
    whole = _sum(costs)
    compared: Document = {}
    values = None
    if asked.before is not None:
        values = [_known_text(cost) for cost in before]
        known = _sum(before)
        compared = {"compared_total": _known_text(known), "change": _change(whole, known)}
    return {
        **point_head(item.point, asked.site),
        "tariff_id": item.tariff.tariff.number,
        "tariff": item.tariff.tariff.name,
        "currency": currency,
        "total": _cost_row(whole, currency, sum_next(amounts)),
        **compared,
        "results": bucket_rows(asked, rows, values),
    }


def _sum(costs: Iterable[Cost]) -> Cost:
    whole = Cost()
    for cost in costs:
        whole.add_cost(cost)
    return whole


def _known_text(cost: Cost) -> str | None:
    """The amount of what is compared with; None where nothing is known to cost anything."""
    return decimal_text(cost.amount) if cost.lines else None


def _change(cost: Cost, before: Cost) -> float | None:
    return change(cost.amount, before.amount) if cost.lines and before.lines else None


def _cost_row(cost: Cost, currency: str, energy: Amount) -> Document:
    amount = cost.amount
    return {
        "amount": decimal_text(amount),
        "rounded": f"{rounded(amount, currency):f}",
        "unpriced": cost.unpriced / UNIT,
        "lines": [
            {
                "kind": line.kind.value,
                "name": line.name,
                "version_id": line.version,
                "price": decimal_text(line.price),
                "quantity": decimal_text(line.quantity),
                "amount": decimal_text(line.amount),
            }
            for line in cost.ordered_lines
        ],
        "energy": amount_row(energy),
    }


def _totals(asked: Asked, bills: _Bills, before: Mapping[int, Sequence[Cost]]) -> list[Document]:
    tops = {point.number for point in asked.site.top(item.point for item in bills.books)}
    totals: dict[str, tuple[Cost, Cost]] = {}
    for item in bills.books:
        number = item.point.number
        if number in tops:
            whole, known = totals.setdefault(item.tariff.tariff.currency, (Cost(), Cost()))
            whole.add_cost(_sum(bills.costs[number]))
            known.add_cost(_sum(before.get(number, ())))
    found = []
    for currency, (whole, known) in sorted(totals.items()):
        row: Document = {
            "currency": currency,
            "amount": decimal_text(whole.amount),
            "rounded": f"{rounded(whole.amount, currency):f}",
        }
        if asked.before is not None:
            row |= {"compared_amount": _known_text(known), "change": _change(whole, known)}
        found.append(row)
    return found


def decimal_text(number: Decimal) -> str:
    """A decimal number without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
