"""`/api/energy/periods/`: months that are closed, their figures, and what has changed since."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response
from sqlalchemy import select

from greenpower.api.energy.closed_figures import find_figures
from greenpower.api.energy.period_changes import close_month, find_period, first_day, reopen_month
from greenpower.api.energy.periods_schema import (
    EXAMPLE_PERIOD,
    FigureSchema,
    NewPeriod,
    PeriodFigures,
    PeriodListQuery,
    PeriodPage,
    PeriodSchema,
    Reopening,
    present_period,
)
from greenpower.api.energy.shown_corrections import shown_corrections
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.json import answer
from greenpower.api.http.paging import example_page, sql_page_answer
from greenpower.energy.closing import Figure, FigureAdjustment, adjustment
from greenpower.energy.money import decimal_text
from greenpower.energy.month import month_from
from greenpower.mongo.client import Document
from greenpower.sql import MeterPoint, RoleName
from greenpower.sql.closed_period import ClosedPeriod
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID
from greenpower.sql.visible_zones import visible_zones

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):period_id>/"


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("periods", __name__, url_prefix="/api/energy/periods", description="Closed months")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PeriodListQuery)
    @blueprint.response(200, PeriodPage, example=example_page(EXAMPLE_PERIOD))
    def list_periods(query: dict[str, Any]) -> Response:
        """List closed months

        The newest first, those that were opened again included.
        """
        statement = select(ClosedPeriod).order_by(ClosedPeriod.id.desc())
        if "month" in query:
            statement = statement.where(ClosedPeriod.month == first_day(query["month"]))
        return sql_page_answer(query, statement, _present_all, ClosedPeriod.id, descending=True)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewPeriod, location="json")
    @blueprint.response(201, PeriodSchema, example=EXAMPLE_PERIOD)
    def close_period(body: dict[str, Any]) -> Response:
        """Close a month

        The energy, cost and CO2 of each meter point are kept as they are answered now. 409 if it is closed already.
        """
        return answer(present_period(close_month(body)), 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.response(200, PeriodFigures)
    def show_period(period_id: int) -> Response:
        """Show a closed month

        With its figures, and how what is known now differs from them.
        """
        period = find_period(period_id)
        shown = present_period(period)
        kept = [Figure(**figure) for figure in period.figures]
        if visible_zones() is not None:
            kept = [figure for figure in kept if figure.point_id in _points()]
        month, zone = period.month, ZoneInfo(period.timezone)
        db.session.rollback()
        return answer(
            {
                **shown,
                "figures": list(map(_figure, kept)),
                "adjustments": list(map(_adjustment, _now(kept, month, zone))),
            }
        )

    @blueprint.route(ITEM_PATH + "reopen/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(Reopening, location="json")
    @blueprint.response(200, PeriodSchema, example=EXAMPLE_PERIOD)
    def reopen_period(body: dict[str, Any], period_id: int) -> Response:
        """Open a closed month again

        Its figures stay to be read. 409 if it is open.
        """
        return answer(present_period(reopen_month(period_id, body["reason"])))

    return blueprint


def _now(kept: list[Figure], first: date, zone: ZoneInfo) -> list[FigureAdjustment]:
    """How the figures of points that are still there differ now."""
    there = {point.point_id for point in kept} & _points()
    if not there:
        return []
    by_point = {figure.point_id: figure for figure in find_figures(month_from(first, zone), zone, None, sorted(there))}
    pairs = [(figure, by_point[figure.point_id]) for figure in kept if figure.point_id in by_point]
    return [found for closed, later in pairs if (found := adjustment(closed, later)) is not None]


def _points() -> set[int]:
    found = set(db.session.scalars(select(MeterPoint.id)))
    db.session.rollback()
    return found


def _present_all(periods: list[ClosedPeriod]) -> list[dict[str, Any]]:
    return list(map(present_period, periods))


def _figure(figure: Figure) -> Document:
    return {name: getattr(figure, name) for name in FigureSchema().fields}


def _adjustment(found: FigureAdjustment) -> Document:
    zero = Decimal(0)
    other_currency = found.amount is None and found.now.currency != found.closed.currency
    return {
        "point_id": found.closed.point_id,
        "name": found.closed.name,
        "energy": decimal_text(found.energy or zero),
        "amount": None if other_currency else decimal_text(found.amount or zero),
        "kg": decimal_text(found.kg or zero),
        "reasons": [reason.value for reason in found.reasons],
        "corrections": shown_corrections(found.corrections),
        "versions": list(found.versions),
    }
