"""`/api/devices/<id>/incidents/` and `/api/devices/<id>/meter-swaps/`: what befell a device's counters, and what the
operator says of it. Each answer of his marks what it touches, and the next rollup run counts anew.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response, abort

from greenpower.api.energy.incidents import STATUSES, IncidentPage, IncidentSchema, incident_page, present
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.schema import TYPE
from greenpower.catalog.facts import counters
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.incidents import CONFIRMED, REJECTED, decide, record_swap
from greenpower.mongo.rollups.invalidations import Place, invalidate_now
from greenpower.mongo.schema.layout import INCIDENTS, INVALIDATIONS
from greenpower.sql import Device, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

DEVICE_PATH = f"/<int(min=1, max={LARGEST_ID}):id>"
MOST_FIELDS = 64


class DeviceIncidentQuery(PageQuery, RangeQuery):
    """Which incidents of a device."""

    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES), metadata=describe("`open`: to be decided"))


class Decision(ma.Schema):
    """What the operator says of an incident."""

    status = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf((CONFIRMED, REJECTED)),
        metadata=describe("`confirmed`: it is real, and counts; `rejected`: nothing was counted there"),
    )


class Registers(ma.Schema):
    """A counter of both meters."""

    last = ma.fields.Float(required=True, metadata=describe("the old meter's last reading", example=48_211.7))
    first = ma.fields.Float(required=True, metadata=describe("the new meter's first reading", example=0.2))


class MeterSwap(ma.Schema):
    """A meter that was exchanged for another one with the same id."""

    type = ma.fields.String(
        required=True, validate=ma.validate.Length(1, 64), metadata=describe("data type, by name", example=TYPE)
    )
    at = ma.fields.AwareDateTime(
        required=True, default_timezone=UTC, metadata=describe("when; readings from then on are the new meter's")
    )
    readings = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(validate=ma.validate.Length(1, 64)),
        values=ma.fields.Nested(Registers),
        validate=ma.validate.Length(1, MOST_FIELDS),
        metadata=describe("the counters, by field", example={"zygsz": {"last": 48_211.7, "first": 0.2}}),
    )


class SwapAnswer(ma.Schema):
    """The incidents that keep it."""

    results = ma.fields.List(ma.fields.Nested(IncidentSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("counters", __name__, url_prefix="/api/devices", description="Counters of devices")

    @blueprint.route(f"{DEVICE_PATH}/incidents/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(DeviceIncidentQuery)
    @blueprint.response(200, IncidentPage)
    def list_device_incidents(query: dict[str, Any], id: int) -> Response:
        """List what befell a device's counters

        Newest first; those only that still hold.
        """
        wanted: Document = {"device_id": _wire_id(id)}
        return incident_page(query, wanted | ({"status": query["status"]} if "status" in query else {}))

    @blueprint.route(f"{DEVICE_PATH}/incidents/<string(length=24):incident>/", methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(Decision, location="json")
    @blueprint.response(200, IncidentSchema)
    def decide_incident(body: dict[str, Any], id: int, incident: str) -> Response:
        """Confirm or reject an incident

        The next rollup run counts what it touches anew. 409 where there is nothing to decide: a dip, a swap.
        """
        device = _wire_id(id)
        if not ObjectId.is_valid(incident):
            abort(404, "There is no such incident.")
        try:
            found = decide(database()[INCIDENTS], device, ObjectId(incident), body["status"], _caller())
        except ValueError as error:
            abort(409, f"{error}.".capitalize())
        if found is None:
            abort(404, "There is no such incident.")
        _mark(found["type"], device, found["at"])
        return answer(present(found))

    @blueprint.route(f"{DEVICE_PATH}/meter-swaps/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(MeterSwap, location="json")
    @blueprint.response(201, SwapAnswer)
    def add_swap(body: dict[str, Any], id: int) -> Response:
        """Tell of a meter swap

        Counts what both meters saw, whatever their registers show. Given again for the same time, it is replaced.
        """
        device = _wire_id(id)
        readings = {name: (pair["last"], pair["first"]) for name, pair in body["readings"].items()}
        at = body["at"].astimezone(UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        _check(get_context().registry.get(body["type"]), at, readings)
        documents = record_swap(database()[INCIDENTS], body["type"], device, at, readings, _caller())
        _mark(body["type"], device, at)
        return answer({"results": [present(document) for document in documents]}, 201)

    return blueprint


def _check(datatype: DataType | None, at: datetime, readings: dict[str, tuple[float, float]]) -> None:
    """Refuse a swap that cannot be."""
    errors: dict[str, list[str]] = {}
    if datatype is None:
        errors["type"] = ["There is no such data type."]
    else:
        if strange := sorted(readings.keys() - {*counters(datatype)}):
            errors["readings"] = [f"{', '.join(strange)}: no counter of {datatype.name}."]
    if not all(math.isfinite(value) and value >= 0 for pair in readings.values() for value in pair):
        errors.setdefault("readings", []).append("A register is a finite number, 0 or above.")
    if at > datetime.now(UTC) + timedelta(seconds=get_context().settings.clock_tolerance_seconds):
        errors["at"] = ["It lies in the future."]
    if errors:
        abort_body(errors)


def _wire_id(id: int) -> str:
    """The id under which a registered device sends. Aborts with 404."""
    device = db.session.get(Device, id)
    db.session.rollback()
    if device is None:
        abort(404, "There is no such device.")
    return device.device_id


def _caller() -> str:
    return str(current_caller().username)


def _mark(type_name: str, device: str, at: datetime) -> None:
    datatype = get_context().registry.get(type_name)
    if datatype is not None and datatype.tiers:
        invalidate_now(database()[INVALIDATIONS], [Place.of(type_name, datatype.tiers[0].prefix, device, at)])
