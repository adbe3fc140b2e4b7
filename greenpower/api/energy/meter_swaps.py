"""`/api/devices/<id>/meter-swaps/`: meters that were replaced by others with the same id, as operators report them.

A swap is an incident from then on: it can be rejected, and confirmed again, like any other
(`greenpower.api.energy.device_incidents`). It can be moved to another time, and withdrawn, with all its counters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response, abort

from greenpower.api.devices.device import DEVICE_PATH, DeviceKey
from greenpower.api.energy.incidents import IncidentSchema, present
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_TYPE, text_field
from greenpower.api.http.json import answer
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.catalog.facts import registers
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.decisions import NotDecidableError, find_swap, move_swap, record_swap, withdraw_swap
from greenpower.mongo.rollups.incident_changes import invalidate_changed_incidents
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import AuditAction, AuditObject, RoleName
from greenpower.sql.audit import AuditedChange

MAX_COUNTERS = 64
SWAP_PATH = f"{DEVICE_PATH}meter-swaps/<string(length=24):incident>/"
MAX_REASON_LENGTH = 300


def reason_field() -> ma.fields.String:
    """Why an operator decided so."""
    return text_field("reason, kept with the decision", MAX_REASON_LENGTH, load_default="")


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
        metadata=describe(
            "when it was replaced, UTC if no offset is given; readings from then on are from the new meter"
        ),
    )
    readings = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(validate=ma.validate.Length(1, 64)),
        values=ma.fields.Nested(MeterRegisters),
        validate=ma.validate.Length(1, MAX_COUNTERS),
        metadata=describe("registers by counter", example={"zygsz": {"last": 48_211.7, "first": 0.2}}),
    )
    reason = reason_field()


class SwapMove(ma.Schema):
    """Another time of a swap."""

    at = ma.fields.AwareDateTime(
        required=True, default_timezone=UTC, metadata=describe("when it was replaced, UTC if no offset is given")
    )
    reason = reason_field()


class SwapWithdrawal(ma.Schema):
    """Why a swap is withdrawn."""

    reason = reason_field()


class SwapAnswer(ma.Schema):
    """The incidents that record the swap."""

    results = ma.fields.List(ma.fields.Nested(IncidentSchema), required=True)


def add_meter_swaps(blueprint: Blueprint, device_id_of: Callable[[DeviceKey], str]) -> None:
    """Add the resource. device_id_of: gives the id that a registered device sends, or aborts with 404."""

    @blueprint.route(f"{DEVICE_PATH}meter-swaps/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(MeterSwap, location="json")
    @blueprint.response(201, SwapAnswer)
    def add_swap(body: dict[str, Any], id: DeviceKey) -> Response:
        """Record a meter swap

        Counts the energy of both meters, whatever their registers show. A second request for the same time replaces the
        first. To take a swap back, reject its incident.
        """
        device = device_id_of(id)
        readings = {name: (pair["last"], pair["first"]) for name, pair in body["readings"].items()}
        at = _milliseconds(body["at"])
        _check_swap(body["type"], at, readings)
        by = str(current_caller().username)
        after = {"type": body["type"], "at": at, "readings": body["readings"], "reason": body["reason"]}
        change = _change(AuditAction.CREATE, device, None, after)
        documents = record_swap(
            database()[INCIDENTS], body["type"], device, at, readings, by, body["reason"], entry=unaudited(change)
        )
        return _done(change, documents, 201)

    @blueprint.route(SWAP_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(SwapMove, location="json")
    @blueprint.response(200, SwapAnswer)
    def move(body: dict[str, Any], id: DeviceKey, incident: str) -> Response:
        """Move a meter swap to another time

        With all counters that were reported for its time. 409 if there is a swap at that time already, or the readings
        of the one that is moved have expired.
        """
        swap = _find_swap(device_id_of(id), incident)
        at = _milliseconds(body["at"])
        _check_swap(swap[0]["type"], at, {})
        _check_kept(swap)
        by, device = str(current_caller().username), swap[0]["device_id"]
        change = _change(AuditAction.MOVE, device, {"at": swap[0]["at"]}, {"at": at, "reason": body["reason"]})
        try:
            moved = move_swap(database()[INCIDENTS], swap, at, by, body["reason"], unaudited(change))
        except NotDecidableError as error:
            abort(409, f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return _done(change, moved)

    @blueprint.route(SWAP_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(404, 409, 422, 503)
    @blueprint.arguments(SwapWithdrawal)
    @blueprint.response(200, SwapAnswer)
    def withdraw(query: dict[str, Any], id: DeviceKey, incident: str) -> Response:
        """Withdraw a meter swap

        With all counters that were reported for its time, as if it had never been reported. 409 if the readings of that
        time have expired.
        """
        swap = _find_swap(device_id_of(id), incident)
        _check_kept(swap)
        by, device = str(current_caller().username), swap[0]["device_id"]
        before = {"at": swap[0]["at"], "withdrawn": False}
        change = _change(AuditAction.REVOKE, device, before, {"withdrawn": True, "reason": query["reason"]})
        try:
            withdrawn = withdraw_swap(database()[INCIDENTS], swap, by, query["reason"], unaudited(change))
        except NotDecidableError as error:
            abort(409, f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return _done(change, withdrawn)


def _find_swap(device: str, incident: str) -> list[Document]:
    """The incidents of a swap. Aborts with 404."""
    collection = database()[INCIDENTS]
    swap = find_swap(collection, device, ObjectId(incident)) if ObjectId.is_valid(incident) else []
    if not swap:
        abort(404, f"There is no meter swap {incident!r} of device {device!r}.")
    return swap


def _check_kept(swap: list[Document]) -> None:
    """Abort with 409 where what was made of a swap cannot be computed again."""
    datatype = get_context().registry.get(swap[0]["type"])
    at = swap[0]["at"]
    if datatype is not None and at < tier_views_of(datatype)[0].whole_from:
        abort(409, f"The readings of {at:%Y-%m-%d} have expired: the energy of that time cannot be computed again.")


def _change(action: AuditAction, device: str, before: Document | None, after: Document) -> AuditedChange:
    return AuditedChange.begin(
        action=action, object_type=AuditObject.METER_SWAP, object_name=device, before=before, after=after
    )


def _done(change: AuditedChange, documents: list[Document], status: int = 200) -> Response:
    """The answer, after what was done is in the audit, and what it changed is invalidated."""
    finish_change(database(), change, documents[0]["_id"])
    context = get_context()
    ids = [document["_id"] for document in documents]
    invalidate_changed_incidents(database(), context.registry, context.settings, ids)
    return answer({"results": [present(document) for document in documents]}, status)


def _milliseconds(time: datetime) -> datetime:
    """A time as MongoDB stores it."""
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _check_swap(type_name: str, at: datetime, readings: dict[str, tuple[float, float]]) -> None:
    """Abort with 422 for a swap that is impossible."""
    errors: dict[str, list[str]] = {}
    registry = get_context().registry
    datatype = registry.get(type_name)
    if datatype is None:
        known = ", ".join(item.name for item in registry)
        errors["type"] = [f"There is no data type {type_name!r}. Data types are {known}."]
    else:
        if unknown := sorted(readings.keys() - {*registers(datatype)}):
            known = ", ".join(registers(datatype))
            errors["readings"] = [f"{type_name} has no counter {', '.join(unknown)}. Its counters are {known}."]
        whole_from = tier_views_of(datatype)[0].whole_from
        if at < whole_from:
            errors["at"] = [
                f"Readings of {at:%Y-%m-%d} have expired. Give a time after {whole_from:%Y-%m-%dT%H:%MZ}: any time "
                "between the last reading of the old meter and the first one of the new meter is right."
            ]
    if not all(math.isfinite(value) and value >= 0 for pair in readings.values() for value in pair):
        errors.setdefault("readings", []).append("A register must be a finite number, 0 or above.")
    if at > datetime.now(UTC) + timedelta(seconds=get_context().settings.clock_tolerance_seconds):
        errors["at"] = [f"{at.isoformat()} is in the future."]
    if errors:
        abort_body(errors)
