"""`/api/devices/`: the registry of devices. What a row is, is in `greenpower.sql.device`."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.api.devices.schema import (
    EXAMPLE_DEVICE,
    DeviceChange,
    DevicePage,
    DeviceQuery,
    DeviceSchema,
    HistoryPage,
    HistoryQuery,
    NewDevice,
)
from greenpower.api.devices.settings_cache import project
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.paging import sql_page_answer
from greenpower.mongo.client import Document
from greenpower.mongo.devices.seen import forget_seen, sightings
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import Device, DeviceStatusChange, DeviceType, RoleName, ServiceZone
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

DEVICE_PATH = f"/<int(min=1, max={LARGEST_ID}):id>/"


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("devices", __name__, url_prefix="/api/devices", description="The registry of devices")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(422, 503)
    @blueprint.arguments(DeviceQuery)
    @blueprint.response(
        200, DevicePage, example={"count": 1, "next": None, "previous": None, "results": [EXAMPLE_DEVICE]}
    )
    def list_devices(query: dict[str, Any]) -> Response:
        """List devices

        By id. Devices that ingest has heard come into the list by themselves, within a minute.
        """
        statement = select(Device).order_by(Device.device_id)
        for name in ("device_id", "status", "zone_id"):
            if name in query:
                statement = statement.where(getattr(Device, name) == query[name])
        if "type" in query:
            statement = statement.where(
                Device.id.in_(select(DeviceType.device_id).where(DeviceType.type == query["type"]))
            )
        return sql_page_answer(query, statement, _present_all)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewDevice, location="json")
    @blueprint.response(201, DeviceSchema, example=EXAMPLE_DEVICE)
    def add_device(body: dict[str, Any]) -> Response:
        """Register a device

        Before it is heard for the first time. 409 where its id is taken.
        """
        device = Device(device_id=body.pop("device_id"))
        _set(device, body)
        db.session.add(device)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            abort(409, "There is a device of that id.")
        project([device])
        return answer(_present(device), 201)

    @blueprint.route(DEVICE_PATH)
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 503)
    @blueprint.response(200, DeviceSchema, example=EXAMPLE_DEVICE)
    def show_device(id: int) -> Response:
        """Show a device"""
        return with_etag(answer(_present(_find(id))))

    @blueprint.route(DEVICE_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(DeviceChange, location="json")
    @blueprint.response(200, DeviceSchema, example=EXAMPLE_DEVICE)
    def alter_device(body: dict[str, Any], id: int) -> Response:
        """Change a device

        Ingest reads a new time zone within seconds; readings that are stored keep theirs (see `greenpower replay`).
        """
        device = _find(id)
        _set(device, body)
        try:
            db.session.commit()
        except IntegrityError:  # the zone went meanwhile
            db.session.rollback()
            abort(409, "There is no such zone.")
        project([device])
        return answer(_present(device))

    @blueprint.route(DEVICE_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def remove_device(id: int) -> Response:
        """Delete a device

        Its readings stay. Should it be heard again, it comes back as a new one.
        """
        device = _find(id)
        wire_id = device.device_id
        # First, so that the job that registers what was heard does not bring it back.
        forget_seen(database()[SEEN], wire_id, _types())
        db.session.delete(device)
        db.session.commit()
        project([], gone=[wire_id])
        return Response(status=204)

    @blueprint.route(f"{DEVICE_PATH}status-history/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(HistoryQuery)
    @blueprint.response(200, HistoryPage)
    def list_history(query: dict[str, Any], id: int) -> Response:
        """List when a device came and went

        Newest first.
        """
        _find(id)
        change = DeviceStatusChange
        statement = select(change).where(change.device_id == id).order_by(change.at.desc(), change.id.desc())
        if "start_time" in query:
            statement = statement.where(change.at >= query["start_time"])
        if "end_time" in query:
            statement = statement.where(change.at <= query["end_time"])
        return sql_page_answer(query, statement, _present_history)

    return blueprint


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _types() -> tuple[str, ...]:
    return tuple(datatype.name for datatype in get_context().registry)


def _set(device: Device, body: dict[str, Any]) -> None:
    """Take over what a caller gave. Aborts with 422 for what there is not."""
    wrong: dict[str, list[str]] = {}
    if body.get("timezone") is not None and body["timezone"] not in _time_zones():
        wrong["timezone"] = ["Not a time zone such as Asia/Dhaka."]
    if body.get("zone_id") is not None and db.session.get(ServiceZone, body["zone_id"]) is None:
        wrong["zone_id"] = ["There is no such zone."]
    types = sorted({*body.pop("types", ())}) if "types" in body else None
    if types is not None and (unknown := set(types) - set(_types())):
        wrong["types"] = [f"There is no data type {min(unknown)!r}."]
    if wrong:
        db.session.rollback()
        abort_body(wrong)
    if types is not None:
        device.types = [DeviceType(type=name) for name in types]
    for name, value in body.items():
        setattr(device, name, value)


def _present_history(changes: list[DeviceStatusChange]) -> list[dict[str, Any]]:
    return [{"status": change.status, "at": change.at} for change in changes]


def _find(id: int) -> Device:
    device = db.session.get(Device, id)
    if device is None:
        abort(404, "There is no such device.")
    return device


def _present(device: Device) -> dict[str, Any]:
    return _present_all([device])[0]


def _present_all(devices: list[Device]) -> list[dict[str, Any]]:
    """Devices as the API shows them, with when they were heard."""
    seen = sightings(database()[SEEN], [(row.type, device.device_id) for device in devices for row in device.types])
    return [_row(device, seen) for device in devices]


def _row(device: Device, seen: dict[tuple[str, str], Document]) -> dict[str, Any]:
    documents = [seen.get((row.type, device.device_id), {}) for row in device.types]

    def newest(key: str) -> datetime | None:
        return max((document[key] for document in documents if key in document), default=None)

    return {
        "id": device.id,
        "device_id": device.device_id,
        "name": device.name,
        "types": [row.type for row in device.types],
        "timezone": device.timezone,
        "interval_seconds": device.interval_seconds,
        "zone": None if device.zone is None else {"id": device.zone.id, "name": device.zone.name},
        "status": device.status,
        "status_since": device.status_since,
        "first_seen": min((document["first_seen"] for document in documents if "first_seen" in document), default=None),
        "last_heard": newest("last_heard"),
        "last_reading": newest("last_reading"),
        "created_at": device.created_at,
        "updated_at": device.updated_at,
    }
