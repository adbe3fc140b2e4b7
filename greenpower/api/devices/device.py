"""One registered device, for views: finding it, changing it, showing it. The columns are in `greenpower.sql.device`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from flask import abort

from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.mongo.devices.document import SeenDocument
from greenpower.mongo.devices.seen import sightings
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import Device, DeviceType, ServiceZone
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

DEVICE_PATH = f"/<int(min=1, max={LARGEST_ID}):id>/"


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def data_type_names() -> tuple[str, ...]:
    """The data types in force, by name."""
    return tuple(datatype.name for datatype in get_context().registry)


def find_device(id: int) -> Device:
    """The device with a number in the registry. Aborts with 404."""
    device = db.session.get(Device, id)
    if device is None:
        abort(404, f"There is no device {id}.")
    return device


def set_values(device: Device, body: dict[str, Any]) -> None:
    """Set what a caller gave. Aborts with 422 for a time zone, a service zone or a data type that does not exist."""
    errors: dict[str, list[str]] = {}
    values = dict(body)
    timezone, zone_id = values.get("timezone"), values.get("zone_id")
    if timezone is not None and timezone not in _time_zones():
        errors["timezone"] = [f"There is no time zone {timezone!r}. Give an IANA name such as Asia/Dhaka."]
    if zone_id is not None and db.session.get(ServiceZone, zone_id) is None:
        errors["zone_id"] = [f"There is no service zone {zone_id}."]
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
        "zone": None if device.zone is None else {"id": device.zone.id, "name": device.zone.name},
        "status": device.status,
        "status_since": device.status_since,
        "first_seen": min((document["first_seen"] for document in seen if "first_seen" in document), default=None),
        "last_heard": max((document["last_heard"] for document in seen if "last_heard" in document), default=None),
        "last_reading": max((item["last_reading"] for item in seen if "last_reading" in item), default=None),
        "created_at": device.created_at,
        "updated_at": device.updated_at,
    }
