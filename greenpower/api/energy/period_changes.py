"""Closing months and opening them again, for the API and the command line.

What belongs here: what may be closed, and keeping it. What does not: the figures (`closed_figures`), routes
(`periods`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import abort
from sqlalchemy import Select, select

from greenpower.api.energy.closed_figures import find_figures
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.energy.closed_month import read_closed_months
from greenpower.energy.closing import Figure
from greenpower.energy.month import Month, month_from
from greenpower.sql import ClosedPeriod, ServiceZone
from greenpower.sql.actor import current_actor
from greenpower.sql.extensions import db
from greenpower.sql.time import now


def close_month(body: dict[str, Any]) -> ClosedPeriod:
    """Close a month, as a loaded NewPeriod says. Aborts with 409 and 422. Raises PyMongoError, SQLAlchemyError."""
    timezone, zone_id = get_context().settings.device_timezone, body["zone_id"]
    first = first_day(body["month"])
    month = month_from(first, ZoneInfo(timezone))
    if month.end > datetime.now(UTC):
        abort_body({"month": ["The month is not over."]})
    scope = ""
    if zone_id is not None:
        service_zone = db.session.get(ServiceZone, zone_id)
        if service_zone is None:
            abort_body({"zone_id": [f"There is no service zone {zone_id}."]})
        scope = service_zone.name
    if db.session.scalar(_in_force(first, zone_id)) is not None:
        abort(409, f"{body['month']} is closed already.")
    db.session.rollback()
    kept = _already_closed(month)
    figures = [kept.get(figure.point_id, figure) for figure in find_figures(month, ZoneInfo(timezone), zone_id)]
    actor = current_actor()
    # Again, since computing takes a while.
    if db.session.scalar(_in_force(first, zone_id)) is not None:
        abort(409, f"{body['month']} is closed already.")
    period = ClosedPeriod(
        month=first,
        timezone=timezone,
        zone_id=zone_id,
        scope=scope,
        reason=body["reason"],
        figures=[figure.stored() for figure in figures],
        closed_by=None if actor is None else actor.name,
    )
    db.session.add(period)
    db.session.commit()
    return period


def _already_closed(month: Month) -> dict[int, Figure]:
    """The figures of points that were closed with a zone before: a point has one closed figure of a month."""
    found: dict[int, Figure] = {}
    for item in read_closed_months(db.session, [(month.begin, month.end)]):
        if item.month == month:
            found = {**item.figures, **found}
    db.session.rollback()
    return found


def _in_force(first: date, zone_id: int | None) -> Select[int]:
    found = select(ClosedPeriod.id).where(
        ClosedPeriod.month == first, ClosedPeriod.zone_id == zone_id, ClosedPeriod.reopened_at.is_(None)
    )
    # The period of a zone that is gone has none, and is not the site's.
    return found.where(ClosedPeriod.scope == "") if zone_id is None else found


def reopen_month(number: int, reason: str) -> ClosedPeriod:
    """Open a closed month again. Aborts with 404 and 409. Raises SQLAlchemyError."""
    period = find_period(number)
    if period.reopened_at is not None:
        abort(409, f"The closed month {number} was opened again already.")
    actor = current_actor()
    period.reopened_at, period.reopen_reason = now(), reason
    period.reopened_by = None if actor is None else actor.name
    db.session.commit()
    return period


def find_period(number: int) -> ClosedPeriod:
    """A closed month. Aborts with 404 where there is none. Raises SQLAlchemyError."""
    period = db.session.get(ClosedPeriod, number)
    if period is None:
        abort(404, f"There is no closed month {number}.")
    return period


def first_day(month: str) -> date:
    """The first day of a month such as 2026-03."""
    return date.fromisoformat(f"{month}-01")
