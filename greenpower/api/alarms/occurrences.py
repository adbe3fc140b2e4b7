"""`/api/alarms/`: what was raised, and acknowledging it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response, abort
from sqlalchemy import select

from greenpower.api.alarms.wake import wake_alarms
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import whole_database
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_ID, EXAMPLE_TIME, EXAMPLE_TYPE, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.known import ZoneNumber
from greenpower.api.http.paging import PageSchema, example_page
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.api.http.visible_devices import is_visible, shown_points, visible_devices
from greenpower.mongo.alarms.document import AlarmState, AlarmStep
from greenpower.mongo.alarms.find import SHOWN_STATES, listed, of_subjects
from greenpower.mongo.alarms.store import acknowledge_alarm
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ALARMS
from greenpower.sql import AuditAction, AuditObject, Device, MeterPoint, RoleName
from greenpower.sql.alarm_rule import AlarmSeverity
from greenpower.sql.audit import AuditedChange
from greenpower.sql.extensions import db
from greenpower.sql.service_zone import zone_and_below
from greenpower.sql.user import LARGEST_ID
from greenpower.sql.visible_zones import visible_zones

ITEM_PATH = "/<string(length=24):alarm_id>/"
MAX_NOTE_LENGTH = 500
EXAMPLE_ALARM: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "rule_id": 1,
    "rule": "Voltage out of range",
    "kind": "threshold",
    "severity": "warning",
    "text": "Call the electrician.",
    "subject": f"{EXAMPLE_TYPE}|{EXAMPLE_DEVICE_ID}",
    "subject_name": EXAMPLE_DEVICE_ID,
    "type": EXAMPLE_TYPE,
    "device_id": EXAMPLE_DEVICE_ID,
    "point_id": None,
    "zone_id": None,
    "state": "active",
    "begin": EXAMPLE_TIME,
    "value": 254.1,
    "late": False,
    "raised_at": EXAMPLE_TIME,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "note": None,
    "cleared_at": None,
    "cleared_value": None,
    "cleared_reason": None,
    "silence_id": None,
    "transitions": [{"seq": 1, "step": "raised", "at": EXAMPLE_TIME, "noted_at": EXAMPLE_TIME, "value": 254.1,
                     "by": None, "note": None, "reason": None, "silent": False}],
}  # fmt: skip
TRANSITION_KEYS = ("seq", "step", "at", "noted_at", "value", "by", "note", "reason", "silent")
# What is called otherwise in documents.
RENAMED = {"rule": "rule_name", "zone_id": "subject_zone_id"}


class AlarmQuery(TimedPageQuery, RangeQuery):
    """Which alarms. Times are those at which the limit was first passed."""

    state = ma.fields.List(
        ma.fields.String(validate=ma.validate.OneOf((*SHOWN_STATES, "open"))),
        load_default=(),
        metadata=describe("only alarms in this state; `open`: all that are not cleared; repeat it for several"),
    )
    severity = ma.fields.List(
        ma.fields.Enum(AlarmSeverity, by_value=True),
        load_default=(),
        metadata=describe("only of this severity; repeat it for several"),
    )
    rule_id = ma.fields.Integer(validate=ma.validate.Range(1, LARGEST_ID), metadata=describe("only of this rule"))
    device_id = text_field("only of this device", 64, 1)
    zone_id = ZoneNumber("only of devices and points of this service zone, and of zones in it")


class AlarmTransition(ma.Schema):
    """What happened to an alarm."""

    seq = ma.fields.Integer(required=True, metadata=describe("its number, from 1; with the alarm's id it is unique"))
    step = ma.fields.Enum(AlarmStep, by_value=True, required=True, metadata=describe("what happened"))
    at = time_field("the time of what caused it, UTC")
    noted_at = time_field("when it was stored, UTC")
    value = ma.fields.Float(required=True, allow_none=True, metadata=describe("the value that caused it"))
    by = ma.fields.String(required=True, allow_none=True, metadata=describe("who acknowledged it", example="admin"))
    note = ma.fields.String(required=True, allow_none=True, metadata=describe("what they noted"))
    reason = ma.fields.String(
        required=True, allow_none=True, metadata=describe("why it ended without a value, such as `rule_gone`")
    )
    silent = ma.fields.Boolean(required=True, metadata=describe("whether people are not told"))


class AlarmSchema(ma.Schema):
    """An alarm."""

    id = ma.fields.String(required=True, metadata=describe("id of the alarm", example=EXAMPLE_ID))
    rule_id = ma.fields.Integer(required=True, metadata=describe("id of its rule"))
    rule = ma.fields.String(required=True, metadata=describe("name of the rule when it was raised"))
    kind = ma.fields.String(required=True, metadata=describe("kind of the rule", example="threshold"))
    severity = ma.fields.Enum(AlarmSeverity, by_value=True, required=True, metadata=describe("how bad it is"))
    text = ma.fields.String(required=True, metadata=describe("what people are told"))
    subject = ma.fields.String(required=True, metadata=describe("what it is about, as silences name it"))
    subject_name = ma.fields.String(required=True, metadata=describe("what people called that then"))
    type = ma.fields.String(required=True, allow_none=True, metadata=describe("data type of the device"))
    device_id = ma.fields.String(required=True, allow_none=True, metadata=describe("the device"))
    point_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("the meter point"))
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("the service zone as a whole"))
    state = ma.fields.String(
        required=True, validate=ma.validate.OneOf(SHOWN_STATES), metadata=describe("its state", example="active")
    )
    begin = time_field("when the limit was first passed, UTC")
    value = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("the value that raised it; while pending the first")
    )
    late = ma.fields.Boolean(required=True, metadata=describe("whether that came long after its time"))
    raised_at = time_field("time of the value that raised it, UTC; null: pending", null=True)
    acknowledged_at = time_field("when it was acknowledged, UTC", null=True)
    acknowledged_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who did", example="admin"))
    note = ma.fields.String(required=True, allow_none=True, metadata=describe("what they noted"))
    cleared_at = time_field("when it was cleared, UTC", null=True)
    cleared_value = ma.fields.Float(required=True, allow_none=True, metadata=describe("the value that cleared it"))
    cleared_reason = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe(
            "`value`; `rule_gone`: deleted or disabled; `subject_gone`: the rule is not about it any more"
        ),
    )
    silence_id = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("the silence for which people are not told")
    )
    transitions = ma.fields.List(ma.fields.Nested(AlarmTransition), required=True)


class AlarmPage(PageSchema):
    """A page of alarms."""

    results = ma.fields.List(ma.fields.Nested(AlarmSchema), required=True)


class Acknowledgement(ma.Schema):
    """That somebody takes care of an alarm."""

    note = text_field("what was found, or will be done", MAX_NOTE_LENGTH, load_default="", example="On my way.")


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("alarms", __name__, url_prefix="/api/alarms", description="Alarms")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AlarmQuery)
    @blueprint.response(200, AlarmPage, example=example_page(EXAMPLE_ALARM))
    def list_alarms(query: dict[str, Any]) -> Response:
        """List alarms

        Newest first, by when the limit was first passed.
        """
        states = [*query["state"]]
        if "open" in states:
            states += [AlarmState.PENDING.value, AlarmState.ACTIVE.value, AlarmState.ACKNOWLEDGED.value]
        where = listed(
            states=[state for state in states if state != "open"],
            severities=[severity.value for severity in query["severity"]],
            rule_id=query.get("rule_id"),
            device_id=query.get("device_id"),
            start=query.get("start_time"),
            end=query.get("end_time"),
            scopes=_scopes(query.get("zone_id")),
        )
        return timed_page_answer(query, whole_database()[ALARMS], where, present_alarm, by="begin")

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, AlarmSchema, example=EXAMPLE_ALARM)
    def show_alarm(alarm_id: str) -> Response:
        """Show an alarm"""
        return answer(present_alarm(_find(alarm_id)))

    @blueprint.route(f"{ITEM_PATH}acknowledge/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(Acknowledgement, location="json")
    @blueprint.response(200, AlarmSchema, example=EXAMPLE_ALARM)
    def acknowledge(body: dict[str, Any], alarm_id: str) -> Response:
        """Acknowledge an active alarm

        It stays open until it is cleared. 409 if it is not active: pending, acknowledged before, or cleared.
        """
        found = _find(alarm_id)
        change = acknowledgement_change(found, body["note"])
        by = str(current_caller().username)
        entry = unaudited(change, found["_id"])
        changed = acknowledge_alarm(whole_database()[ALARMS], found["_id"], by, body["note"], entry)
        if changed is None:
            abort(409, f"The alarm {alarm_id} is not active.")
        finish_change(whole_database(), change, found["_id"])
        wake_alarms()
        return answer(present_alarm(changed))

    return blueprint


def acknowledgement_change(alarm: Mapping[str, Any], note: str) -> AuditedChange:
    """An alarm is to be acknowledged. alarm: as it is stored."""
    return AuditedChange.begin(
        action=AuditAction.DECIDE,
        object_type=AuditObject.ALARM,
        object_name=alarm["subject_name"],
        before={"state": alarm["state"], "note": None},
        after={"state": AlarmState.ACKNOWLEDGED.value, "note": note},
    )


def present_alarm(document: Mapping[str, Any]) -> Document:
    """An alarm as the API shows it."""
    shown = {name: document[RENAMED.get(name, name)] for name in EXAMPLE_ALARM if name not in ("id", "transitions")}
    return {
        "id": str(document["_id"]),
        **shown,
        "transitions": [{name: item.get(name) for name in TRANSITION_KEYS} for item in document["transitions"]],
    }


def _scopes(zone_id: int | None) -> list[Document]:
    """What the caller may see, and what of it they ask for, as conditions."""
    scopes = []
    zones = visible_zones()
    if zones is not None:
        points = db.session.scalars(select(MeterPoint.id)).all()
        scopes.append(of_subjects(visible_devices() or (), points, zones))
    if zone_id is not None:
        inner = zone_and_below(db.session, zone_id)
        devices = db.session.scalars(select(Device.device_id).where(Device.zone_id.in_(inner))).all()
        points = db.session.scalars(select(MeterPoint.id).where(MeterPoint.zone_id.in_(inner))).all()
        scopes.append(of_subjects(devices, points, inner))
    db.session.rollback()
    return scopes


def _find(alarm_id: str) -> Document:
    """An alarm that the caller may see. Aborts with 404."""
    found = whole_database()[ALARMS].find_one({"_id": ObjectId(alarm_id)}) if ObjectId.is_valid(alarm_id) else None
    if found is None or found["state"] == AlarmState.CANCELLED or not _is_shown(found):
        abort(404, f"There is no alarm {alarm_id!r}.")
    return found


def _is_shown(alarm: Mapping[str, Any]) -> bool:
    if alarm["device_id"] is not None:
        return is_visible(alarm["device_id"])
    if alarm["point_id"] is not None:
        return alarm["point_id"] in shown_points([alarm["point_id"]])
    zones = visible_zones()
    return zones is None or alarm["subject_zone_id"] in zones
