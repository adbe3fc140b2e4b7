"""`/api/devices/<id>/corrections/`: what an operator corrects in what a device sent: samples left out or multiplied.

Each change invalidates what it touches, and the next rollup run computes it again. What belongs here: making, ending
and withdrawing one. What does not: which are refused (`correction_checks`), what callers send (`correction_bodies`),
what a correction does (`greenpower.measure.correction`), lists of all devices (`corrections`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pymongo
from bson import ObjectId
from flask import Response, abort
from pymongo.errors import PyMongoError

from greenpower.api.devices.device import DEVICE_PATH, DeviceKey, find_device
from greenpower.api.energy.correction_audit import correction_change
from greenpower.api.energy.correction_bodies import CorrectionEnd, NewCorrectionBody, WithdrawalQuery
from greenpower.api.energy.correction_checks import check_body, check_kept, check_single, milliseconds, shown
from greenpower.api.energy.corrections import (
    CorrectionFilter,
    CorrectionPage,
    CorrectionSchema,
    correction_page,
    present_correction,
)
from greenpower.api.energy.energy_corrections import energy_counts
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.context import database, get_context
from greenpower.api.http.json import answer
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import OF_SAMPLES, CorrectionKind
from greenpower.mongo.corrections.store import (
    NewCorrection,
    NotEndableError,
    NotRevocableError,
    OverlapError,
    create,
    find_correction,
    finish,
    revoke,
)
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.schema.layout import CORRECTIONS
from greenpower.sql import AuditAction, RoleName
from greenpower.sql.extensions import db

log = logging.getLogger(__name__)

# What is not invalidated in this time is left to the worker.
INVALIDATE_SECONDS = 5.0
CORRECTION_PATH = f"{DEVICE_PATH}corrections/<string(length=24):correction>/"


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "device_corrections", __name__, url_prefix="/api/devices", description="Corrections of devices"
    )

    @blueprint.route(f"{DEVICE_PATH}corrections/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(CorrectionFilter)
    @blueprint.response(200, CorrectionPage)
    def list_device_corrections(query: dict[str, Any], id: DeviceKey) -> Response:
        """List the corrections of a device

        Newest begin first; withdrawn ones too.
        """
        return correction_page(query, {"device_id": _device_id(id)})

    @blueprint.route(f"{DEVICE_PATH}corrections/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewCorrectionBody, location="json")
    @blueprint.response(201, CorrectionSchema)
    def add_correction(body: dict[str, Any], id: DeviceKey) -> Response:
        """Correct the samples of a field, or the energy of a counter

        Stored readings stay as the device sent them; every number made from them is computed again. A fixed energy and
        an estimate change `consumption/` only. 409 if another correction of this kind overlaps, and for a correction of
        samples if the readings from `begin` on have expired.
        """
        device = _device_id(id)
        begin, end = milliseconds(body["begin"]), milliseconds(body["end"])
        datatype = check_body(body, begin, end)
        if body["kind"] in OF_SAMPLES:
            check_kept(datatype, begin)
        new = NewCorrection(
            type=datatype.name,
            device_id=device,
            field=body["field"],
            kind=CorrectionKind(body["kind"]),
            begin=begin,
            end=end,
            factor=body["factor"],
            energy=energy_counts(body["energy"]),
            method=body["method"],
            reason=body["reason"],
            made_by=str(current_caller().username),
        )
        change = correction_change(AuditAction.CREATE, new.content())
        try:
            made = create(database()[CORRECTIONS], new, unaudited(change))
        except OverlapError as error:
            other = error.other
            until = "on" if other["end"] is None else f"to {shown(other['end'])}"
            abort(409, f"Correction {other['_id']} of this kind is in force from {shown(other['begin'])} {until}.")
        finish_change(database(), change, made["_id"])
        return answer(present_correction(_touched(made["_id"])), 201)

    @blueprint.route(CORRECTION_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, CorrectionSchema)
    def get_correction(id: DeviceKey, correction: str) -> Response:
        """Get a correction of a device"""
        return answer(present_correction(_find(id, correction)))

    @blueprint.route(CORRECTION_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(CorrectionEnd, location="json")
    @blueprint.response(200, CorrectionSchema)
    def end_correction(body: dict[str, Any], id: DeviceKey, correction: str) -> Response:
        """Give a correction of samples an earlier end

        409 if it is withdrawn or does not last until then, and if the readings from the new end on have expired.
        """
        found = _find(id, correction)
        check_single(found)
        end = milliseconds(body["end"])
        check_kept(get_context().registry.get(found["type"]), end)
        by, reason = str(current_caller().username), body["reason"]
        change = correction_change(AuditAction.CHANGE, found, end=end, reason=reason)
        try:
            finish(database()[CORRECTIONS], found["_id"], end, by, reason, unaudited(change))
        except NotEndableError:
            abort(409, f"It does not last until {shown(end)}, or it is withdrawn.")
        finish_change(database(), change, found["_id"])
        return answer(present_correction(_touched(found["_id"])))

    @blueprint.route(CORRECTION_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(404, 409, 422, 503)
    @blueprint.arguments(WithdrawalQuery)
    @blueprint.response(200, CorrectionSchema)
    def withdraw_correction(query: dict[str, Any], id: DeviceKey, correction: str) -> Response:
        """Withdraw a correction

        It stays listed, and numbers become what they were without it. 409 if it is withdrawn already, and if readings
        that it changed have expired: give it an end instead.
        """
        found = _find(id, correction)
        check_single(found)
        if found["kind"] in OF_SAMPLES and found["revoked_at"] is None:
            check_kept(get_context().registry.get(found["type"]), found["begin"])
        by, reason = str(current_caller().username), query["reason"]
        change = correction_change(AuditAction.REVOKE, found, withdrawn=True, reason=reason)
        try:
            revoke(database()[CORRECTIONS], found["_id"], by, reason, unaudited(change))
        except NotRevocableError:
            abort(409, "It is withdrawn already.")
        finish_change(database(), change, found["_id"])
        return answer(present_correction(_touched(found["_id"])))

    return blueprint


def _touched(correction_id: ObjectId) -> Mapping[str, Any]:
    """A correction after what it touches was invalidated, as far as time allows; the worker does the rest."""
    context = get_context()
    try:
        with pymongo.timeout(INVALIDATE_SECONDS):
            invalidate_changed_corrections(database(), context.registry, context.settings, [correction_id])
    except PyMongoError as error:
        log.warning("what correction %s touches is left to the worker: %.200s", correction_id, error)
    found = database()[CORRECTIONS].find_one({"_id": correction_id})
    assert found is not None
    return found


def _find(id: DeviceKey, correction: str) -> Document:
    device = _device_id(id)
    found = None
    if ObjectId.is_valid(correction):
        found = find_correction(database()[CORRECTIONS], device, ObjectId(correction))
    if found is None:
        abort(404, f"There is no correction {correction!r} of device {id}.")
    return dict(found)


def _device_id(id: DeviceKey) -> str:
    """The id that a registered device sends. Aborts with 404."""
    device_id = find_device(id).device_id
    db.session.rollback()
    return device_id
