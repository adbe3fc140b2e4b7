"""The schemas of devices, for their parameters and for the OpenAPI text."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TIME, text_field, time_field
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.schema import DEVICE, TYPE
from greenpower.datatype.claim import is_device_id
from greenpower.sql import DeviceStatus
from greenpower.sql.user import LARGEST_ID

STATUSES = tuple(status.value for status in DeviceStatus)
LONGEST_INTERVAL = 31 * 86_400
MOST_TYPES = 32
ZONE = "IANA time zone of its stamps that name none, such as Asia/Dhaka; null: the system's"
INTERVAL = "seconds between two readings, as expected; null: not known"
EXAMPLE_DEVICE = {
    "id": 1,
    "device_id": DEVICE,
    "name": "Main meter",
    "types": [TYPE],
    "timezone": "Asia/Dhaka",
    "interval_seconds": 60,
    "zone": {"id": 1, "name": "Block A"},
    "status": "online",
    "status_since": EXAMPLE_TIME,
    "first_seen": EXAMPLE_TIME,
    "last_heard": EXAMPLE_TIME,
    "last_reading": EXAMPLE_TIME,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


def _types(**options: Any) -> ma.fields.List[Any]:
    return ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(1, 64)),
        validate=ma.validate.Length(max=MOST_TYPES),
        metadata=describe("the data types it sends, by name", example=[TYPE]),
        **options,
    )


def _interval(**options: Any) -> ma.fields.Integer:
    bounds = ma.validate.Range(1, LONGEST_INTERVAL)
    return ma.fields.Integer(strict=True, allow_none=True, validate=bounds, metadata=describe(INTERVAL), **options)


def _zone_id(**options: Any) -> ma.fields.Integer:
    return ma.fields.Integer(
        strict=True,
        allow_none=True,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("number of its service zone; null: none"),
        **options,
    )


def _device_id(value: str) -> None:
    if not is_device_id(value):
        raise ma.ValidationError("Not the id of a device.")


class ZoneOfDevice(ma.Schema):
    """The zone that a device is in."""

    id = ma.fields.Integer(required=True, metadata=describe("the zone's number"))
    name = ma.fields.String(required=True, metadata=describe("its name"))


class DeviceSchema(ma.Schema):
    """A device."""

    id = ma.fields.Integer(required=True, metadata=describe("its number in the registry"))
    device_id = ma.fields.String(required=True, metadata=describe("its id on the wire, as in readings"))
    name = ma.fields.String(required=True, metadata=describe("what people call it"))
    types = ma.fields.List(ma.fields.String(), required=True, metadata=describe("the data types it sends"))
    timezone = ma.fields.String(required=True, allow_none=True, metadata=describe(ZONE))
    interval_seconds = ma.fields.Integer(required=True, allow_none=True, metadata=describe(INTERVAL))
    zone = ma.fields.Nested(ZoneOfDevice, required=True, allow_none=True, metadata=describe("its service zone"))
    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("whether it gives signs of life")
    )
    status_since = time_field("since when, UTC", null=True)
    first_seen = time_field("when it was first heard, UTC", null=True)
    last_heard = time_field("its last sign of life, UTC", null=True)
    last_reading = time_field("the time of its newest reading, UTC", null=True)
    created_at = time_field("when it was registered, UTC")
    updated_at = time_field("when the registry last changed it, UTC")


class DevicePage(PageSchema):
    """A page of devices."""

    results = ma.fields.List(ma.fields.Nested(DeviceSchema), required=True)


class DeviceQuery(PageQuery):
    """Which devices."""

    device_id = text_field("exactly this id", 64, 1)
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES), metadata=describe("only of this status"))
    type = text_field("only those that send this data type", 64, 1)
    zone_id = ma.fields.Integer(
        validate=ma.validate.Range(1, LARGEST_ID), metadata=describe("only those of this service zone")
    )


class DeviceChange(ma.Schema):
    """What to change of a device."""

    name = text_field("what people call it", 120, example="Main meter")
    types = _types()
    timezone = text_field(ZONE, 64, 1, example="Asia/Dhaka", allow_none=True)
    interval_seconds = _interval()
    zone_id = _zone_id()


class NewDevice(DeviceChange):
    """A device to be registered."""

    device_id = ma.fields.String(
        required=True,
        validate=(ma.validate.Length(1, 64), ma.validate.Regexp(r"^[^\x00-\x20$\x7f][^\x00-\x1f\x7f]*$"), _device_id),
        metadata=describe("its id on the wire", example=DEVICE),
    )


class HistoryQuery(PageQuery, RangeQuery):
    """Which part of a history."""


class ChangeSchema(ma.Schema):
    """A change of a device's status."""

    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("its status from then on")
    )
    at = time_field("when it changed, UTC")


class HistoryPage(PageSchema):
    """A page of a device's history."""

    results = ma.fields.List(ma.fields.Nested(ChangeSchema), required=True)
