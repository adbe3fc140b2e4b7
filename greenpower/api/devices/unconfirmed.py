"""`/api/devices/confirm/` and `/api/devices/unconfirmed/`: many devices that were only heard, at once.

What belongs here: confirming and deleting them for callers. What does not: how many there may be, and when they are
deleted by themselves (`greenpower.jobs.device_registration`).
"""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from sqlalchemy import select

from greenpower.api.devices.device import data_type_names
from greenpower.api.devices.settings_cache import cache_settings
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, text_field
from greenpower.api.http.json import answer
from greenpower.mongo.devices.seen import forget_devices
from greenpower.sql import Device, RoleName
from greenpower.sql.confirmation import batches, confirm_devices, count_unconfirmed, delete_unconfirmed, unconfirmed
from greenpower.sql.extensions import db

MAX_CONFIRMED_PER_REQUEST = 1_000
MAX_DELETED_PER_REQUEST = 5_000


class DevicesToConfirm(ma.Schema):
    """Devices to be confirmed."""

    device_ids = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(1, 64)),
        required=True,
        validate=ma.validate.Length(1, MAX_CONFIRMED_PER_REQUEST),
        metadata=describe("ids that the devices send", example=[EXAMPLE_DEVICE_ID]),
    )


class ConfirmedDevices(ma.Schema):
    """Devices that were confirmed."""

    confirmed = ma.fields.Integer(required=True, metadata=describe("how many were not confirmed before"))
    missing = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("ids of those that are not in the registry")
    )


class UnconfirmedQuery(ma.Schema):
    """Which unconfirmed devices."""

    type = text_field("only devices that send this data type", 64, 1)
    prefix = text_field("only devices whose id begins so", 64, 1)


class DeletedDevices(ma.Schema):
    """Devices that were deleted."""

    deleted = ma.fields.Integer(required=True, metadata=describe("how many were deleted"))
    remaining = ma.fields.Integer(required=True, metadata=describe("how many unconfirmed devices there still are"))


def add_unconfirmed(blueprint: Blueprint) -> None:
    """Add the routes."""

    @blueprint.route("/confirm/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 413, 415, 422, 503)
    @blueprint.arguments(DevicesToConfirm, location="json")
    @blueprint.response(200, ConfirmedDevices, example={"confirmed": 1, "missing": []})
    def confirm_heard_devices(body: dict[str, Any]) -> Response:
        """Confirm devices

        For devices that were only heard: from then on they do not expire, and DEVICE_POLICY=registered stores them.
        """
        wanted = list(dict.fromkeys(body["device_ids"]))
        confirmed = confirm_devices(db.session, wanted, str(current_caller().username))
        found: list[Device] = []
        for chunk in batches(wanted):
            found += db.session.scalars(select(Device).where(Device.device_id.in_(chunk))).unique()
        cache_settings(found)
        known = {device.device_id for device in found}
        return answer({"confirmed": confirmed, "missing": [one for one in wanted if one not in known]})

    @blueprint.route("/unconfirmed/", methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(422, 503)
    @blueprint.arguments(UnconfirmedQuery)
    @blueprint.response(200, DeletedDevices, example={"deleted": 5000, "remaining": 0})
    def delete_unconfirmed_devices(query: dict[str, Any]) -> Response:
        """Delete unconfirmed devices

        Those that were only heard: all, or those that the parameters name, 5000 per request. Their readings are kept.
        One that sends again is registered again, as unconfirmed.
        """
        statement = unconfirmed(type_name=query.get("type"), prefix=query.get("prefix", ""))
        wanted = list(db.session.scalars(statement.limit(MAX_DELETED_PER_REQUEST)))
        db.session.rollback()
        # First, so that the job that registers devices does not bring them back.
        forget_devices(database(), wanted, data_type_names())
        deleted = delete_unconfirmed(db.session, wanted)
        cache_settings([], deleted=deleted)
        return answer({"deleted": len(deleted), "remaining": count_unconfirmed(db.session)})
