"""`/api/energy/report/`: a week or a month on one page, of the site or a service zone, as JSON, page, PDF or XLSX.

What belongs here: asking the other routes' questions for a report, and its formats. What does not: what it says and how
it looks (`greenpower.reports`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response
from sqlalchemy import select
from werkzeug.exceptions import UnprocessableEntity

from greenpower.api.energy.availability import find_availability
from greenpower.api.energy.balance import find_balance
from greenpower.api.energy.cost import find_cost
from greenpower.api.energy.demand import find_demand
from greenpower.api.energy.emissions import find_emissions
from greenpower.api.energy.point_consumption import find_point_consumption
from greenpower.api.energy.point_query import ask
from greenpower.api.energy.report_schema import ReportQuery, ReportSchema, report_responses
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import private
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_query
from greenpower.api.http.json import answer
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.availability_reader import total
from greenpower.energy.calendar import Unit
from greenpower.energy.closed_month import ShownFigures
from greenpower.energy.compare import Comparison
from greenpower.energy.tariff import DEMAND_MINUTES
from greenpower.mongo.client import Document
from greenpower.reports.build import ReportAnswers, build_report
from greenpower.reports.form import FONTS_FOLDER, ReportForm, render_report
from greenpower.reports.period import PeriodError, ReportPeriod, last_ended, read_period
from greenpower.reports.report import CostsOf, Report
from greenpower.sql import RoleName, ServiceZone
from greenpower.sql.extensions import db

DESCRIPTION = """Consumption, peak, cost, CO2, what no meter sees, zones by consumption, and each meter point with how
good its figures are, compared with the period before and a year ago. All figures are those of the other routes of
`/api/energy/`; of closed months the closed ones. `format` gives a page to print, PDF or XLSX instead of JSON."""
# A zone is a question of its own.
MAX_REPORT_ZONES = 40
MAX_PEAK_POINTS = 5


def add_report(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/report/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Report of a week or a month", description=DESCRIPTION, responses=report_responses())
    @blueprint.errors(422, 503)
    @blueprint.arguments(ReportQuery)
    @blueprint.response(200, ReportSchema)
    def report(query: dict[str, Any]) -> Response:
        form: ReportForm = query["format"]
        found = find_report(query)
        if form is ReportForm.JSON:
            return answer(found.document())
        file = render_report(found, form, fonts=get_context().settings.greenpower_home / FONTS_FOLDER)
        response = private(Response(file.data, mimetype=file.media_type))
        if form is not ReportForm.HTML:
            response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
        return response


def find_report(query: dict[str, Any]) -> Report:
    """The report of a loaded ReportQuery. Aborts with 422. Raises PyMongoError, SQLAlchemyError."""
    now, zone, unit = datetime.now(UTC), query["tz"], query["period"]
    try:
        period = read_period(query["start"], unit, zone) if "start" in query else last_ended(now, unit, zone)
    except PeriodError as error:
        abort_query("start", str(error))
    scope = None if "zone_id" not in query else db.session.get(ServiceZone, query["zone_id"])
    found = _answers(period, zone, query["carrier"], None if scope is None else scope.id)
    return build_report(period, "" if scope is None else scope.name, found, now)


def _answers(period: ReportPeriod, zone: ZoneInfo, carrier: Carrier, zone_id: int | None) -> ReportAnswers:
    base: Document = {
        "bucket": period.unit,
        "tz": zone,
        "point_id": (),
        "start_time": period.begin,
        "end_time": period.end,
        "carrier": carrier,
        "figures": ShownFigures.CLOSED,
    }
    if zone_id is not None:
        base["zone_id"] = zone_id
    previous = {**base, "compare": Comparison.PREVIOUS}
    year_ago = {**base, "compare": Comparison.YEAR_AGO if period.unit is Unit.MONTH else Comparison.SAME_DAYS}
    costs_of, paying = _paying(base)
    left_out: list[str] = []
    demand = available = None
    try:
        demand = _demand(base)
    except UnprocessableEntity:
        left_out.append("peaks: they would be made from too much at once")
    try:
        several = find_availability(ask({**base, "bucket": period.unit}))
        available = {
            one.point.number: (whole.expected, whole.available) for one in several for whole in [total(one.buckets)]
        }
    except UnprocessableEntity:
        left_out.append("data availability: it would be made from too much at once")
    zones = _zones(zone_id)
    if len(zones) > MAX_REPORT_ZONES:
        left_out.append(f"zones: only the first {MAX_REPORT_ZONES} of {len(zones)} by name")
    return ReportAnswers(
        consumption=find_point_consumption(dict(base)),
        balance=find_balance(dict(previous)),
        balance_year_ago=find_balance(dict(year_ago)),
        days=find_balance({**base, "bucket": Unit.DAY}),
        costs_of=costs_of,
        point_costs=find_cost(dict(base)),
        cost=find_cost({**previous, **paying}),
        cost_year_ago=find_cost({**year_ago, **paying}),
        emissions=find_emissions(dict(previous)),
        emissions_year_ago=find_emissions(dict(year_ago)),
        demand=demand,
        available=available,
        zones=[(name, find_balance({**previous, "zone_id": number})) for number, name in zones[:MAX_REPORT_ZONES]],
        left_out=left_out,
    )


def _paying(base: Document) -> tuple[CostsOf, Document]:
    """Whose costs are those of the report, and what asks for them: the grid's where it is measured, since what loads
    cost is in that; else those of all."""
    points = ask(dict(base)).points
    if not any(point.role is PointRole.GRID_IMPORT for point in points):
        return CostsOf.ALL, {}
    grid = [point.number for point in points if point.role in (PointRole.GRID_IMPORT, PointRole.GRID_EXPORT)]
    return CostsOf.GRID, {"point_id": grid}


def _demand(base: Document) -> Document | None:
    """The demand of the points at which energy comes in, or else of the topmost loads; the first few by name."""
    asked = ask(dict(base))
    tops = asked.site.top(asked.points)
    chosen = [point for point in tops if point.role is PointRole.GRID_IMPORT] or [
        point for point in tops if point.role is PointRole.LOAD
    ]
    if not chosen:
        return None
    numbers = [point.number for point in chosen[:MAX_PEAK_POINTS]]
    query = {**base, "point_id": numbers, "compare": Comparison.PREVIOUS, "minutes": DEMAND_MINUTES[0]}
    return find_demand({name: value for name, value in query.items() if name != "zone_id"})


def _zones(outer: int | None) -> list[tuple[int, str]]:
    """The zones that lie right in a zone; of the site those that lie in none that may be seen, or where that is one
    alone, those in it."""
    rows = db.session.execute(select(ServiceZone.id, ServiceZone.name, ServiceZone.parent_id)).all()
    db.session.rollback()
    seen = {number for number, _, _ in rows}
    chosen = [
        (number, name)
        for number, name, parent in rows
        if (parent == outer if outer is not None else parent is None or parent not in seen)
    ]
    if outer is None and len(chosen) == 1 and (inner := _zones(chosen[0][0])):
        return inner
    return sorted(chosen, key=lambda row: row[1])
