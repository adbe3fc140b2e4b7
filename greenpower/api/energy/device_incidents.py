"""`/api/devices/<id>/incidents/`: incidents of a device's counters, and what operators decide about them.

Each decision invalidates what it touches, and the next rollup run computes it again. Meter swaps, which operators
report, are in `greenpower.api.energy.meter_swaps`.
"""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response, abort

from greenpower.api.devices.device import DEVICE_PATH, DeviceKey, find_device
from greenpower.api.energy.correction_audit import decision_change
from greenpower.api.energy.incidents import IncidentFilter, IncidentPage, IncidentSchema, incident_page, present
from greenpower.api.energy.meter_exchange import add_meter_exchange
from greenpower.api.energy.meter_swaps import add_meter_swaps, reason_field
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.json import answer
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.late_decision import decide_at_any_time
from greenpower.mongo.rollups.decisions import NotDecidableError, find_incident
from greenpower.mongo.rollups.incident_changes import invalidate_changed_incidents
from greenpower.mongo.rollups.incidents import CONFIRMED, OPEN, REJECTED
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.mongo.unaudited import UnauditedEntry
from greenpower.sql import RoleName
from greenpower.sql.extensions import db


class Decision(ma.Schema):
    """An operator's decision about an incident."""

    status = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf((CONFIRMED, REJECTED, OPEN)),
        metadata=describe(
            "`confirmed`: it is as the incident says, and the energy counts; `rejected`: no energy was used there; "
            "`open`: the decision is withdrawn. A meter swap is never open: `rejected` undoes it, `confirmed` gives it "
            "force again"
        ),
    )
    reason = reason_field()


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("counters", __name__, url_prefix="/api/devices", description="Counters of devices")

    @blueprint.route(f"{DEVICE_PATH}incidents/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(IncidentFilter)
    @blueprint.response(200, IncidentPage)
    def list_device_incidents(query: dict[str, Any], id: DeviceKey) -> Response:
        """List incidents of a device's counters

        Newest first; incidents that no longer apply are left out.
        """
        return incident_page(query, {"device_id": _device_id(id)})

    @blueprint.route(f"{DEVICE_PATH}incidents/<string(length=24):incident>/", methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(Decision, location="json")
    @blueprint.response(200, IncidentSchema)
    def decide_incident(body: dict[str, Any], id: DeviceKey, incident: str) -> Response:
        """Confirm or reject an incident, or withdraw the decision

        The next rollup run computes the affected energy again. If the readings of that time have expired, the decision
        adds a correction of energy at the sample that showed the incident; withdrawing it revokes the correction. 409
        if there is nothing to decide (a dip, a spike), if a meter swap is to be open, and if a change of unit or a
        meter swap is decided whose readings have expired.
        """
        device = _device_id(id)
        collection = database()[INCIDENTS]
        found = find_incident(collection, device, ObjectId(incident)) if ObjectId.is_valid(incident) else None
        if found is None:
            abort(404, f"There is no incident {incident!r} of device {id}.")
        change = decision_change(found, body["status"], body["reason"])
        try:
            decided = _decide(found, body["status"], body["reason"], unaudited(change, found["_id"]))
        except NotDecidableError as error:
            abort(409, f"{str(error)[:1].upper()}{str(error)[1:]}.")
        finish_change(database(), change, found["_id"])
        context = get_context()
        invalidate_changed_incidents(database(), context.registry, context.settings, [found["_id"]])
        return answer(present(decided))

    add_meter_swaps(blueprint, _device_id)
    add_meter_exchange(blueprint, _device_id)
    return blueprint


def _decide(incident: Document, status: str, reason: str, entry: UnauditedEntry) -> Document:
    """Keep a decision, by a correction where the readings are gone. Raises NotDecidableError."""
    by = str(current_caller().username)
    datatype = get_context().registry.get(incident["type"])
    whole_from = None if datatype is None else tier_views_of(datatype)[0].whole_from
    return decide_at_any_time(database(), datatype, whole_from, incident, status, by, reason, entry)


def _device_id(id: DeviceKey) -> str:
    """The id that a registered device sends. Aborts with 404."""
    device_id = find_device(id).device_id
    db.session.rollback()
    return device_id
