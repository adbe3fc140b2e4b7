"""`/api/devices/<id>/incidents/` and `/api/devices/<id>/meter-swaps/`: incidents of a device's counters, and what
operators decide about them. Each decision invalidates what it affects, and the next rollup run computes it again.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response, abort

from greenpower.api.devices.device import DEVICE_PATH, find_device
from greenpower.api.energy.incidents import STATUSES, IncidentPage, IncidentSchema, incident_page, present
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_TYPE
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery
from greenpower.api.http.time_range import RangeQuery
from greenpower.catalog.facts import counters
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.incidents import CONFIRMED, REJECTED, decide, record_swap
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INCIDENTS, INVALIDATIONS
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

MAX_COUNTERS = 64


class DeviceIncidentQuery(PageQuery, RangeQuery):
    """Which incidents of a device."""

    status = ma.fields.String(
        validate=ma.validate.OneOf(STATUSES),
        metadata=describe("only incidents with this status; `open`: not decided yet"),
    )


class Decision(ma.Schema):
    """An operator's decision about an incident."""

    status = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf((CONFIRMED, REJECTED)),
        metadata=describe("`confirmed`: the energy is real and counts; `rejected`: no energy was used there"),
    )


class MeterRegisters(ma.Schema):
    """Registers of the old and the new meter."""

    last = ma.fields.Float(required=True, metadata=describe("last value of the old meter", example=48_211.7))
    first = ma.fields.Float(required=True, metadata=describe("first value of the new meter", example=0.2))


class MeterSwap(ma.Schema):
    """A meter that was replaced by another one with the same id."""

    type = ma.fields.String(
        required=True,
        validate=ma.validate.Length(1, 64),
        metadata=describe("name of the data type", example=EXAMPLE_TYPE),
    )
    at = ma.fields.AwareDateTime(
        required=True,
        default_timezone=UTC,
        metadata=describe("when it was replaced; readings from then on are from the new meter"),
    )
    readings = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(validate=ma.validate.Length(1, 64)),
        values=ma.fields.Nested(MeterRegisters),
        validate=ma.validate.Length(1, MAX_COUNTERS),
        metadata=describe("registers by counter", example={"zygsz": {"last": 48_211.7, "first": 0.2}}),
    )


class SwapAnswer(ma.Schema):
    """The incidents that record the swap."""

    results = ma.fields.List(ma.fields.Nested(IncidentSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("counters", __name__, url_prefix="/api/devices", description="Counters of devices")

    @blueprint.route(f"{DEVICE_PATH}incidents/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(DeviceIncidentQuery)
    @blueprint.response(200, IncidentPage)
    def list_device_incidents(query: dict[str, Any], id: int) -> Response:
        """List incidents of a device's counters

        Newest first; incidents that no longer apply are left out.
        """
        wanted: Document = {"device_id": _device_id(id)}
        return incident_page(query, wanted | ({"status": query["status"]} if "status" in query else {}))

    @blueprint.route(f"{DEVICE_PATH}incidents/<string(length=24):incident>/", methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(Decision, location="json")
    @blueprint.response(200, IncidentSchema)
    def decide_incident(body: dict[str, Any], id: int, incident: str) -> Response:
        """Confirm or reject an incident

        The next rollup run computes the affected energy again. 409 if there is nothing to decide (a dip, a swap).
        """
        device = _device_id(id)
        if not ObjectId.is_valid(incident):
            abort(404, f"There is no incident {incident!r} of device {id}.")
        try:
            found = decide(database()[INCIDENTS], device, ObjectId(incident), body["status"], _caller())
        except ValueError as error:
            abort(409, f"{error}.".capitalize())
        if found is None:
            abort(404, f"There is no incident {incident!r} of device {id}.")
        _invalidate(found["type"], device, found["at"])
        return answer(present(found))

    @blueprint.route(f"{DEVICE_PATH}meter-swaps/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(MeterSwap, location="json")
    @blueprint.response(201, SwapAnswer)
    def add_swap(body: dict[str, Any], id: int) -> Response:
        """Record a meter swap

        Counts the energy of both meters, whatever their registers show. A second request for the same time replaces the
        first.
        """
        device = _device_id(id)
        readings = {name: (pair["last"], pair["first"]) for name, pair in body["readings"].items()}
        at = body["at"].astimezone(UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        _check_swap(body["type"], at, readings)
        documents = record_swap(database()[INCIDENTS], body["type"], device, at, readings, _caller())
        _invalidate(body["type"], device, at)
        return answer({"results": [present(document) for document in documents]}, 201)

    return blueprint


def _check_swap(type_name: str, at: datetime, readings: dict[str, tuple[float, float]]) -> None:
    """Abort with 422 for a swap that is impossible."""
    errors: dict[str, list[str]] = {}
    registry = get_context().registry
    datatype = registry.get(type_name)
    if datatype is None:
        known = ", ".join(item.name for item in registry)
        errors["type"] = [f"There is no data type {type_name!r}. Data types are {known}."]
    else:
        if unknown := sorted(readings.keys() - {*counters(datatype)}):
            known = ", ".join(counters(datatype))
            errors["readings"] = [f"{type_name} has no counter {', '.join(unknown)}. Its counters are {known}."]
    if not all(math.isfinite(value) and value >= 0 for pair in readings.values() for value in pair):
        errors.setdefault("readings", []).append("A register must be a finite number, 0 or above.")
    if at > datetime.now(UTC) + timedelta(seconds=get_context().settings.clock_tolerance_seconds):
        errors["at"] = [f"{at.isoformat()} is in the future."]
    if errors:
        abort_body(errors)


def _device_id(id: int) -> str:
    """The id that a registered device sends. Aborts with 404."""
    device_id = find_device(id).device_id
    db.session.rollback()
    return device_id


def _caller() -> str:
    return str(current_caller().username)


def _invalidate(type_name: str, device: str, at: datetime) -> None:
    datatype = get_context().registry.get(type_name)
    if datatype is not None and datatype.tiers:
        invalidate(database()[INVALIDATIONS], [Place.of(type_name, datatype.tiers[0].prefix, device, at)])
