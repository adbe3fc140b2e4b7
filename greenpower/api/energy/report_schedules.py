"""`/api/energy/report-schedules/`: reports that are mailed each week or month."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_TIME, WholeNumber, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.api.notifications.channel_rules import visible_channels
from greenpower.api.notifications.channels import caller_id
from greenpower.datatype.carrier import Carrier
from greenpower.energy.calendar import Unit
from greenpower.reports.form import ReportForm
from greenpower.reports.period import REPORT_UNITS
from greenpower.sql import NotificationChannel, ReportSchedule, RoleName, ServiceZone
from greenpower.sql.actor import current_actor
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

SCHEDULE_PATH = f"/<int(min=1, max={LARGEST_ID}):schedule_id>/"
ATTACHED_FORMS = (ReportForm.PDF, ReportForm.XLSX, ReportForm.HTML)
MAX_SCHEDULE_CHANNELS = 50
EXAMPLE_SCHEDULE = {
    "id": 1,
    "name": "Month to the board",
    "period": "month",
    "zone_id": None,
    "carrier": "electricity",
    "channels": [1],
    "formats": ["pdf", "xlsx"],
    "enabled": True,
    "reported_until": EXAMPLE_TIME,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
    "created_by": "admin",
}


def _period(**options: Any) -> ma.fields.Enum[Any]:
    units = [unit.value for unit in REPORT_UNITS]
    return ma.fields.Enum(
        Unit,
        by_value=True,
        validate=ma.validate.OneOf(REPORT_UNITS),
        metadata=describe("how long", enum=units),
        **options,
    )


def _zone(**options: Any) -> WholeNumber:
    text = "service zone; null: the whole site"
    return WholeNumber(allow_none=True, validate=ma.validate.Range(1, LARGEST_ID), metadata=describe(text), **options)


def _channels(**options: Any) -> ma.fields.List[Any]:
    return ma.fields.List(
        WholeNumber(validate=ma.validate.Range(1, LARGEST_ID)),
        validate=ma.validate.Length(1, MAX_SCHEDULE_CHANNELS),
        metadata=describe("ids of notification channels", example=[1]),
        **options,
    )


def _formats(**options: Any) -> ma.fields.List[Any]:
    forms = [form.value for form in ATTACHED_FORMS]
    return ma.fields.List(
        ma.fields.String(validate=ma.validate.OneOf(forms)),
        validate=ma.validate.Length(max=len(forms)),
        metadata=describe("files that are attached; none: text only", example=["pdf", "xlsx"]),
        **options,
    )


def _carrier(**options: Any) -> ma.fields.Enum[Any]:
    return ma.fields.Enum(Carrier, by_value=True, metadata=describe("what is reported"), **options)


class ScheduleSchema(ma.Schema):
    """A schedule."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the schedule"))
    name = ma.fields.String(required=True, metadata=describe("what people call it"))
    period = _period(required=True)
    zone_id = _zone(required=True)
    carrier = _carrier(required=True)
    channels = ma.fields.List(ma.fields.Integer(), required=True, metadata=describe("ids of notification channels"))
    formats = _formats(required=True)
    enabled = ma.fields.Boolean(required=True, metadata=describe("whether reports are made"))
    reported_until = time_field("end of the newest period that was reported, UTC; null: none was", null=True)
    created_at = time_field("when it was made, UTC; what ended before is not reported")
    updated_at = time_field("when it was last changed, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))


class SchedulePage(PageSchema):
    """A page of schedules."""

    results = ma.fields.List(ma.fields.Nested(ScheduleSchema), required=True)


class NewSchedule(ma.Schema):
    """A new schedule."""

    name = text_field("what people call it", 120, 1, example="Month to the board", required=True)
    period = _period(load_default=Unit.MONTH)
    zone_id = _zone(load_default=None)
    carrier = _carrier(load_default=Carrier.ELECTRICITY)
    channels = _channels(required=True)
    formats = _formats(load_default=lambda: [ReportForm.PDF.value, ReportForm.XLSX.value])
    enabled = ma.fields.Boolean(load_default=True, metadata=describe("whether reports are made"))


class ScheduleChange(ma.Schema):
    """Changes of a schedule; what is left out stays."""

    name = text_field("what people call it", 120, 1, example="Month to the board")
    zone_id = _zone()
    carrier = _carrier()
    channels = _channels()
    formats = _formats()
    enabled = ma.fields.Boolean(metadata=describe("whether reports are made"))


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "report_schedules", __name__, url_prefix="/api/energy/report-schedules", description="Reports that are mailed"
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, SchedulePage, example=example_page(EXAMPLE_SCHEDULE))
    def list_report_schedules(query: dict[str, Any]) -> Response:
        """List report schedules"""
        statement = select(ReportSchedule).order_by(ReportSchedule.name)
        return sql_page_answer(query, statement, lambda rows: [_present(row) for row in rows], ReportSchedule.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewSchedule, location="json")
    @blueprint.response(201, ScheduleSchema, example=EXAMPLE_SCHEDULE)
    def add_report_schedule(body: dict[str, Any]) -> Response:
        """Create a report schedule

        Each period that ends from now on is reported once, some hours after its end. 409 if the name is already used.
        """
        actor = current_actor()
        made = ReportSchedule(**_checked(body), created_by=None if actor is None else actor.name)
        db.session.add(made)
        _commit(made.name)
        return answer(_present(made), 201)

    @blueprint.route(SCHEDULE_PATH)
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(200, ScheduleSchema, example=EXAMPLE_SCHEDULE)
    def show_report_schedule(schedule_id: int) -> Response:
        """Show a report schedule"""
        return answer(_present(_find(schedule_id)))

    @blueprint.route(SCHEDULE_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(ScheduleChange, location="json")
    @blueprint.response(200, ScheduleSchema, example=EXAMPLE_SCHEDULE)
    def change_report_schedule(body: dict[str, Any], schedule_id: int) -> Response:
        """Change a report schedule

        409 if the name is already used.
        """
        schedule = _find(schedule_id)
        for name, value in _checked(body).items():
            setattr(schedule, name, value)
        _commit(schedule.name)
        return answer(_present(schedule))

    @blueprint.route(SCHEDULE_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_report_schedule(schedule_id: int) -> Response:
        """Delete a report schedule"""
        db.session.delete(_find(schedule_id))
        db.session.commit()
        return Response(status=204)

    return blueprint


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The columns of a body. Aborts with 422 for channels and zones that there are not, or that the caller does not
    see."""
    found = {name: value.value if name in ("period", "carrier") else value for name, value in body.items()}
    if "channels" in found:
        found["channels"] = list(dict.fromkeys(found["channels"]))
        mine = select(NotificationChannel.id).where(visible_channels(caller_id()))
        known = set(db.session.scalars(mine))
        if unknown := [number for number in found["channels"] if number not in known]:
            abort_body({"channels": [f"There is no notification channel {unknown[0]}."]})
    if "formats" in found:
        found["formats"] = list(dict.fromkeys(found["formats"]))
    if found.get("zone_id") is not None and db.session.get(ServiceZone, found["zone_id"]) is None:
        abort_body({"zone_id": [f"There is no service zone {found['zone_id']}."]})
    return found


def _commit(name: str) -> None:
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409, f"There is already a report schedule {name!r}.")


def _find(schedule_id: int) -> ReportSchedule:
    found = db.session.get(ReportSchedule, schedule_id)
    if found is None:
        abort(404, f"There is no report schedule {schedule_id}.")
    return found


def _present(schedule: ReportSchedule) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in EXAMPLE_SCHEDULE}
