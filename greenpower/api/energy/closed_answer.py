"""How answers about meter points show closed months: which of them a value is of, and how what is known now differs.

What belongs here: the rows `closed` of a point and of a balance. What does not: which figures a value has
(`greenpower.energy.closed_month`), the closed months themselves (`periods`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import marshmallow as ma

from greenpower.api.energy.point_query import Asked
from greenpower.api.energy.shown_corrections import shown_corrections
from greenpower.api.http.blueprint import describe
from greenpower.energy.amount import Amount, sum_next
from greenpower.energy.booked import Bookkeeper
from greenpower.energy.closed_month import BookedValues, ClosedCuts, ClosedMonth, ShownFigures
from greenpower.energy.closing import AdjustmentReason, FigureAdjustment
from greenpower.energy.money import decimal_text
from greenpower.energy.point import Point
from greenpower.mongo.client import Document

Difference = Callable[[FigureAdjustment], Decimal | None]


class FiguresHead(ma.Schema):
    """Which figures an answer has."""

    figures = ma.fields.Enum(
        ShownFigures, by_value=True, required=True, metadata=describe("which figures it has of closed months")
    )


class ClosedMonthSchema(ma.Schema):
    """A closed month that a value is of."""

    period_id = ma.fields.Integer(
        required=True,
        allow_none=True,
        metadata=describe("id of the closed month; null: it was closed for a zone that you may not see"),
    )
    month = ma.fields.String(required=True, metadata=describe("the month", example="2026-03"))
    kept = ma.fields.Boolean(
        required=True,
        metadata=describe(
            "whether the value has the figure that the month was closed with; false: it says what is known now, as of"
            " the days of the month"
        ),
    )
    reasons = ma.fields.List(
        ma.fields.Enum(AdjustmentReason, by_value=True),
        required=True,
        metadata=describe("why what is known now differs"),
    )
    corrections = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("ids of corrections that were made or revoked since")
    )


class ClosedPartSchema(ClosedMonthSchema):
    """A closed month that a value of a point is of."""

    adjustment = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe(
            "what is known now of the month, less the closed figure, exact; null: that figure is not in the value",
            example="-1.25",
        ),
    )
    versions = ma.fields.List(
        ma.fields.Integer(), required=True, metadata=describe("ids of versions of tariffs that differ")
    )


def closed_field() -> ma.fields.List[Any]:
    """The field `closed` of a value of a point."""
    return ma.fields.List(
        ma.fields.Nested(ClosedPartSchema), required=True, metadata=describe("the closed months that it is of")
    )


def book_amounts(
    cuts: ClosedCuts, points: Iterable[Point], amounts: Mapping[int, Sequence[Amount]]
) -> dict[int, BookedValues[Amount]]:
    """By point its energy with closed figures in it. amounts: what is known now between each two cuts."""
    return {
        point.number: cuts.book(point.number, amounts[point.number], sum_next, Bookkeeper(point).amount)
        for point in points
    }


def closed_rows(
    asked: Asked, booked: BookedValues[Any], difference: Difference
) -> tuple[list[Document], list[list[Document]]]:
    """The rows `closed` of the total of a point, and of each of its buckets. difference: what of an adjustment the
    answer is about."""
    if not booked.months:
        nothing: list[Document] = []
        return nothing, [nothing] * len(booked.buckets)
    kept = {month.period: _part(month, booked, difference) for month in booked.months}
    plain = {month.period: _unkept(month) for month in booked.months}
    total = [(kept if month.period in booked.in_total else plain)[month.period] for month in booked.months]
    rows = []
    for begin, end in pairwise(asked.boundaries):
        rows.append([_row(month, booked, begin, end, kept, plain) for month in _touching(booked.months, begin, end)])
    return total, rows


def balance_rows(asked: Asked, several: Sequence[BookedValues[Amount]]) -> tuple[list[Document], list[list[Document]]]:
    """The rows `closed` of a whole balance, and of each bucket, of the points that are in it."""
    by_point = [closed_rows(asked, booked, lambda found: found.energy) for booked in several if booked.months]
    buckets = range(len(asked.boundaries) - 1)
    return (
        _merged(total for total, _ in by_point),
        [_merged(rows[number] for _, rows in by_point) for number in buckets],
    )


def _touching(months: Iterable[ClosedMonth], begin: datetime, end: datetime) -> Iterable[ClosedMonth]:
    return (month for month in months if month.overlaps(begin, end))


def _row(
    month: ClosedMonth,
    booked: BookedValues[Any],
    begin: datetime,
    end: datetime,
    kept: Mapping[int, Document],
    plain: Mapping[int, Document],
) -> Document:
    whole = month.period in booked.in_bucket and month.is_within(begin, end)
    return (kept if whole else plain)[month.period]


def _part(month: ClosedMonth, booked: BookedValues[Any], difference: Difference) -> Document:
    found = booked.adjustments.get(month.period)
    if found is None:
        return {**_unkept(month), "kept": True, "adjustment": "0"}
    return {
        "period_id": month.shown_id,
        "month": month.name,
        "kept": True,
        "adjustment": decimal_text(difference(found) or Decimal(0)),
        "reasons": [reason.value for reason in found.reasons],
        "corrections": shown_corrections(found.corrections),
        "versions": list(found.versions),
    }


def _unkept(month: ClosedMonth) -> Document:
    return {
        "period_id": month.shown_id,
        "month": month.name,
        "kept": False,
        "adjustment": None,
        "reasons": [],
        "corrections": [],
        "versions": [],
    }


def _merged(several: Iterable[Sequence[Document]]) -> list[Document]:
    """The rows of several points as one per closed month."""
    found: dict[tuple[int | None, str], Document] = {}
    for rows in several:
        for row in rows:
            whole = found.setdefault(
                (row["period_id"], row["month"]), {"period_id": row["period_id"], "month": row["month"], "kept": False}
            )
            whole["kept"] |= row["kept"]
            for name in ("reasons", "corrections"):
                whole[name] = list(dict.fromkeys([*whole.get(name, ()), *row[name]]))
    return list(found.values())
