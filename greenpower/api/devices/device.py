"""One registered device, for views: finding it, changing it, showing it. The columns are in `greenpower.sql.device`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from flask import abort
from sqlalchemy import select
from werkzeug.routing import BaseConverter, ValidationError

from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import time_zone_problem
from greenpower.api.http.visible_devices import shown_device
from greenpower.datatype.claim import is_device_id
from greenpower.mongo.devices.document import SeenDocument
from greenpower.mongo.devices.seen import sightings
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import Device, DeviceType, ServiceZone
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID
from greenpower.sql.visible_zones import visible_zones

DEVICE_PATH = "/<device:id>/"
# What a path names a device by: its number in the registry, or the id that it sends.
DeviceKey = int | str
# Before an id that would be taken for a number or for another path, or that has a slash.
WIRE_PREFIX = "device_id:"
# `/api/devices/commands/` is a list of its own.
RESERVED_PART = "commands"
KEY_DESCRIPTION = (
    f"its number in the registry, or the id that it sends. Write `{WIRE_PREFIX}` before an id of digits alone; behind "
    "this prefix the id is percent-encoded once more, so that it may have a slash"
)


class DeviceConverter(BaseConverter):
    """The part of a path that names a device."""

    def to_python(self, value: str) -> DeviceKey:
        if value == RESERVED_PART:
            raise ValidationError
        # What can be no device is answered by the view, after it has checked the caller.
        if value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST_ID)):
            return int(value)
        return unquote(value.removeprefix(WIRE_PREFIX)) if value.startswith(WIRE_PREFIX) else value


def path_parameter(converter: DeviceConverter) -> dict[str, Any]:
    """The schema of the part of a path that names a device."""
    return {"type": "string", "minLength": 1, "description": KEY_DESCRIPTION, "example": "1"}


def data_type_names() -> tuple[str, ...]:
    """The data types in force, by name."""
    return tuple(datatype.name for datatype in get_context().registry)


def find_device(id: DeviceKey) -> Device:
    """The registered device that a path names. Aborts with 404."""
    device = None
    if isinstance(id, int):
        device = db.session.get(Device, id) if 1 <= id <= LARGEST_ID else None
    elif is_device_id(id):
        device = db.session.scalar(select(Device).where(Device.device_id == id))
    if device is None:
        abort(404, f"There is no device {id!r} in the registry.")
    return device


def set_values(device: Device, body: dict[str, Any]) -> None:
    """Set what a caller gave. Aborts with 422 for a time zone, a service zone or a data type that does not exist."""
    errors: dict[str, list[str]] = {}
    values = dict(body)
    timezone, zone_id = values.get("timezone"), values.get("zone_id")
    if timezone is not None and (problem := time_zone_problem(timezone)):
        errors["timezone"] = [problem]
    if zone_id is not None and db.session.get(ServiceZone, zone_id) is None:
        errors["zone_id"] = [f"There is no service zone {zone_id}."]
    if "zone_id" in values and zone_id is None and visible_zones() is not None:
        errors["zone_id"] = ["You may move a device to another of your service zones, not out of them."]
    types = sorted({*values.pop("types", ())})
    if unknown := sorted({*types} - {*data_type_names()}):
        known = ", ".join(data_type_names())
        errors["types"] = [f"There is no data type {', '.join(unknown)}. Data types are {known}."]
    if errors:
        db.session.rollback()
        abort_body(errors)
    if "types" in body:
        device.types = [DeviceType(type=name) for name in types]
    for name, value in values.items():
        setattr(device, name, value)


def present_device(device: Device) -> dict[str, Any]:
    """A device as the API shows it."""
    return present_devices([device])[0]


def present_devices(devices: Iterable[Device]) -> list[dict[str, Any]]:
    """Devices as the API shows them, with the times at which ingest heard of them."""
    devices = list(devices)
    seen = sightings(database()[SEEN], [(row.type, device.device_id) for device in devices for row in device.types])
    of_device = {
        device.id: [found for row in device.types if (found := seen.get((row.type, device.device_id))) is not None]
        for device in devices
    }
    return [_row(device, of_device[device.id]) for device in devices]


def _row(device: Device, seen: list[SeenDocument]) -> dict[str, Any]:
    """A row of the list. seen: what ingest noted of the device, for each of its data types."""
    return {
        "id": device.id,
        "device_id": device.device_id,
        "name": device.name,
        "types": [row.type for row in device.types],
        "timezone": device.timezone,
        "interval_seconds": device.interval_seconds,
        "greatest_power": device.greatest_power,
        "zone_id": device.zone_id,
        "zone": None if device.zone is None else {"id": device.zone.id, "name": device.zone.name},
        "status": device.status,
        "status_since": device.status_since,
        "first_seen": min((document["first_seen"] for document in seen if "first_seen" in document), default=None),
        "last_heard": max((document["last_heard"] for document in seen if "last_heard" in document), default=None),
        "last_reading": max((item["last_reading"] for item in seen if "last_reading" in item), default=None),
        "replaces": shown_device(device.replaces),
        "replaced_by": shown_device(device.replaced_by),
        "confirmed_at": device.confirmed_at,
        "confirmed_by": device.confirmed_by,
        "created_at": device.created_at,
        "updated_at": device.updated_at,
    }
