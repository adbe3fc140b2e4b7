"""`/api/devices/`: the registry of devices."""

from __future__ import annotations

from typing import Any

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.api.devices.device import (
    DEVICE_PATH,
    DeviceKey,
    data_type_names,
    find_device,
    present_device,
    present_devices,
    set_values,
)
from greenpower.api.devices.history import add_history
from greenpower.api.devices.schema import EXAMPLE_DEVICE, DeviceChange, DevicePage, DeviceQuery, DeviceSchema, NewDevice
from greenpower.api.devices.settings_cache import cache_settings
from greenpower.api.devices.unconfirmed import add_unconfirmed
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import database, get_context
from greenpower.api.http.json import answer
from greenpower.api.http.paging import example_page, sql_page_answer
from greenpower.mongo.devices.seen import forget_seen
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import Device, DeviceType, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.time import now


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("devices", __name__, url_prefix="/api/devices", description="Devices")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(DeviceQuery)
    @blueprint.response(200, DevicePage, example=example_page(EXAMPLE_DEVICE))
    def list_devices(query: dict[str, Any]) -> Response:
        """List devices

        Ordered by device id. Unless DEVICE_POLICY is `registered`, a device that sends readings is registered within a
        minute, as unconfirmed.
        """
        statement = select(Device).order_by(Device.device_id)
        for name in ("device_id", "status", "zone_id"):
            if name in query:
                statement = statement.where(getattr(Device, name) == query[name])
        default = "true" if get_context().settings.device_policy == "confirm" and "device_id" not in query else "all"
        if (wanted := query.get("confirmed", default)) != "all":
            confirmed = Device.confirmed_at.is_not(None)
            statement = statement.where(confirmed if wanted == "true" else ~confirmed)
        if "type" in query:
            senders = select(DeviceType.device_id).where(DeviceType.type == query["type"])
            statement = statement.where(Device.id.in_(senders))
        return sql_page_answer(query, statement, present_devices, Device.device_id)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewDevice, location="json")
    @blueprint.response(201, DeviceSchema, example=EXAMPLE_DEVICE)
    def add_device(body: dict[str, Any]) -> Response:
        """Register a device

        For devices that have not sent anything yet. 409 if the device id is already registered.
        """
        device = Device(device_id=body["device_id"], confirmed_by=str(current_caller().username))
        set_values(device, body)
        db.session.add(device)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            abort(409, f"The device {body['device_id']!r} is already registered.")
        cache_settings([device])
        return answer(present_device(device), 201)

    @blueprint.route(DEVICE_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, DeviceSchema, example=EXAMPLE_DEVICE)
    def show_device(id: DeviceKey) -> Response:
        """Show a device"""
        return with_etag(answer(present_device(find_device(id))))

    @blueprint.route(DEVICE_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(DeviceChange, location="json")
    @blueprint.response(200, DeviceSchema, example=EXAMPLE_DEVICE)
    def change_device(body: dict[str, Any], id: DeviceKey) -> Response:
        """Change a device

        Ingest uses a new time zone within seconds; stored readings keep their timestamps (see `greenpower replay`).
        A new greatest power holds for all readings that are still stored: the next rollup runs compute their energy
        again. A device that was only heard is confirmed by it.
        """
        device = find_device(id)
        set_values(device, body)
        if device.confirmed_at is None:
            device.confirmed_at, device.confirmed_by = now(), str(current_caller().username)
        try:
            db.session.commit()
        except IntegrityError:  # the zone was deleted meanwhile
            db.session.rollback()
            abort(409, f"There is no service zone {body.get('zone_id')}.")
        cache_settings([device])
        return answer(present_device(device))

    @blueprint.route(DEVICE_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_device(id: DeviceKey) -> Response:
        """Delete a device

        Its readings are kept. If it sends again, it is registered again as a new device.
        """
        device = find_device(id)
        device_id = device.device_id
        # First, so that the job that registers devices does not bring it back.
        forget_seen(database()[SEEN], device_id, data_type_names())
        db.session.delete(device)
        db.session.commit()
        cache_settings([], deleted=[device_id])
        return Response(status=204)

    add_history(blueprint)
    add_unconfirmed(blueprint)
    return blueprint
