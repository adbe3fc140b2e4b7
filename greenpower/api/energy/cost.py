"""`/api/energy/cost/`: what meter points cost, by calendar buckets. Amounts are exact decimal numbers, as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

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
from greenpower.api.energy.point_query import Asked, FiguresQuery, ask
from greenpower.api.energy.point_sums import read_grouped, read_point_peaks
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.json import answer
from greenpower.energy.amount import UNIT
from greenpower.energy.booked import BookedCost, Bookkeeper, sum_costs
from greenpower.energy.closed_month import BookedValues, ClosedCuts
from greenpower.energy.cost import Cost, CostKind
from greenpower.energy.money import decimal_text, rounded
from greenpower.energy.point_cost import PointBook, closed_tariffs, point_books
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.sql import RoleName

DESCRIPTION = """The cost of a point by its tariff: its own, else that of the next point above that has one, else the
default of its carrier. Only the point that has a tariff itself, or the grid's, pays standing and demand charges.
Amounts are exact; they add up over buckets and points, and `rounded` is for showing. The charge of a month's highest
demand is in the bucket in which that was. What is compared with is what it cost then, by the prices of then. Of closed
months the closed figures are told: see `figures`; each value and its `adjustment` are what is known now."""

ADJUSTMENT = "amount that is known now, less this; null: no figure of a closed month is in it"


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
    adjustment = ma.fields.String(required=True, allow_none=True, metadata=describe(ADJUSTMENT, example="-1.25"))
    energy = ma.fields.Nested(AmountSchema, required=True)
    closed = closed_field()
    per = divided_field()


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
    tariff = ma.fields.String(
        required=True, metadata=describe("name of the tariff; empty: one by which a closed month was paid is gone")
    )
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
    adjustment = ma.fields.String(required=True, allow_none=True, metadata=describe(ADJUSTMENT, example="-1.25"))
    compared_amount = _compared("the range that it is compared with")
    change = change_field()


class CostQuery(FiguresQuery, DividedQuery):
    """Which meter points, in which buckets, with what they are compared, and by what costs are divided."""


class CostSchema(CalendarHead, FiguresHead, CorrectionsSchema, DividedHead):
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
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Cost of meter points by calendar buckets", description=DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(CostQuery)
    @blueprint.response(200, CostSchema)
    def cost(query: dict[str, Any]) -> Response:
        return answer(find_cost(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bills:
    """The costs of points, by their number."""

    books: Sequence[PointBook]
    costs: Mapping[int, BookedValues[BookedCost]]
    corrections: Sequence[CorrectionDocument]


def find_cost(query: dict[str, Any]) -> Document:
    """The answer to a loaded FiguresQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    asked = ask(query)
    bills = _bills(asked, asked.closed_cuts)
    before = {} if asked.compared_cuts is None else _bills(asked, asked.compared_cuts).costs
    division = divide(asked, query)
    priced = {item.point.number for item in bills.books}
    return {
        **calendar_head(asked),
        "figures": asked.figures.value,
        **division.head,
        "compared_with": comparison(asked),
        "totals": _totals(asked, bills, before),
        "points": [_point(asked, division, item, bills, before.get(item.point.number)) for item in bills.books],
        "without_tariff": [point_head(point, asked.site) for point in asked.points if point.number not in priced],
        "corrections": corrections_of(bills.corrections),
    }


def _bills(asked: Asked, closed: ClosedCuts) -> _Bills:
    books = point_books(asked.site, asked.points, closed.cuts, closed_tariffs(asked.points, closed.total_months))
    # Points with one tariff and direction share their groups.
    shared: dict[int, list[PointBook]] = {}
    for item in books:
        shared.setdefault(id(item.book.groups), []).append(item)
    peaks = read_point_peaks(asked, [(item.point, item.month_minutes) for item in books])
    corrections: list[CorrectionDocument] = []
    costs = {}
    for several in shared.values():
        groups = several[0].book.groups
        found, sums = read_grouped(asked, [item.point for item in several], closed.cuts, groups)
        corrections += found.corrections
        for item in several:
            number = item.point.number
            parts = zip(item.book.costs(sums[number], peaks.get(number)), found.amounts[number], strict=True)
            pieces = [BookedCost(cost, amount) for cost, amount in parts]
            costs[number] = closed.book(number, pieces, sum_costs, Bookkeeper(item.point, item.tariff).cost)
    return _Bills(books=books, costs=costs, corrections=corrections)


def _point(
    asked: Asked, division: Division, item: PointBook, bills: _Bills, before: BookedValues[BookedCost] | None
) -> Document:
    currency = item.tariff.tariff.currency
    booked = bills.costs[item.point.number]
    closed, closed_buckets = closed_rows(asked, booked, lambda found: found.amount)
    rows = [
        {**_cost_row(found, currency, of), **division.bucket(place, _known(found), found.amount)}
        for place, (found, of) in enumerate(zip(booked.buckets, closed_buckets, strict=True))
    ]
    whole = booked.total
    compared: Document = {}
    values = None
    if asked.before is not None:
        values = [_known_text(found.cost) for found in before.buckets] if before is not None else []
        known = Cost() if before is None else before.total.cost
        compared = {"compared_total": _known_text(known), "change": _change(booked.total.cost, known)}
    return {
        **point_head(item.point, asked.site),
        "tariff_id": item.tariff.tariff.number,
        "tariff": item.tariff.tariff.name,
        "currency": currency,
        "total": {**_cost_row(whole, currency, closed), **division.total(_known(whole), whole.amount)},
        **compared,
        "results": bucket_rows(asked, rows, values),
    }


def _known(found: BookedCost) -> Decimal | None:
    return found.cost.amount if found.cost.lines else None


def _known_text(cost: Cost) -> str | None:
    """The amount of what is compared with; None where nothing is known to cost anything."""
    return decimal_text(cost.amount) if cost.lines else None


def _change(cost: Cost, before: Cost) -> float | None:
    return change(cost.amount, before.amount) if cost.lines and before.lines else None


def _cost_row(found: BookedCost, currency: str, closed: Sequence[Document]) -> Document:
    cost = found.cost
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
                "price": price_text(line.price),
                "quantity": decimal_text(line.quantity),
                "amount": decimal_text(line.amount),
            }
            for line in cost.ordered_lines
        ],
        "adjustment": _adjustment_text(cost),
        "energy": amount_row(found.amount),
        "closed": closed,
    }


@lru_cache(maxsize=1_000)
def price_text(price: Decimal) -> str:
    """A price without zeros at its end. There are few."""
    return decimal_text(price)


def _totals(asked: Asked, bills: _Bills, before: Mapping[int, BookedValues[BookedCost]]) -> list[Document]:
    tops = {point.number for point in asked.site.top(item.point for item in bills.books)}
    totals: dict[str, tuple[Cost, Cost]] = {}
    for item in bills.books:
        number = item.point.number
        if number in tops:
            whole, known = totals.setdefault(item.tariff.tariff.currency, (Cost(), Cost()))
            whole.add_cost(bills.costs[number].total.cost)
            if number in before:
                known.add_cost(before[number].total.cost)
    found = []
    for currency, (whole, known) in sorted(totals.items()):
        row: Document = {
            "currency": currency,
            "amount": decimal_text(whole.amount),
            "rounded": f"{rounded(whole.amount, currency):f}",
            "adjustment": _adjustment_text(whole),
        }
        if asked.before is not None:
            row |= {"compared_amount": _known_text(known), "change": _change(whole, known)}
        found.append(row)
    return found


def _adjustment_text(cost: Cost) -> str | None:
    return None if cost.adjustment is None else decimal_text(cost.adjustment)
