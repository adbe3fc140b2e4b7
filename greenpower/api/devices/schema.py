"""The schemas of devices, for their parameters and for the OpenAPI text."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import (
    EXAMPLE_DEVICE_ID,
    EXAMPLE_TIME,
    EXAMPLE_TYPE,
    FullMatch,
    WholeNumber,
    text_field,
    time_field,
)
from greenpower.api.http.known import TypeName, ZoneNumber
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.datatype.claim import is_device_id
from greenpower.sql import DeviceStatus
from greenpower.sql.user import LARGEST_ID

CONFIRMED = ("true", "false", "all")
STATUSES = tuple(status.value for status in DeviceStatus)
MAX_INTERVAL_SECONDS = 31 * 86_400
MAX_TYPES = 32
#: of one meter, in kW: more than any power station has
MAX_POWER = 100_000_000
TIMEZONE_DESCRIPTION = "IANA time zone of timestamps without an offset, such as Asia/Dhaka; null: that of the system"
INTERVAL_DESCRIPTION = "expected seconds between two readings; null: not known"
POWER_DESCRIPTION = (
    "largest power in kW (kvar, kVA) that its energy registers can show; replaces the declared greatest rate and the "
    "learned one; null: not set"
)
EXAMPLE_DEVICE = {
    "id": 1,
    "device_id": EXAMPLE_DEVICE_ID,
    "name": "Main meter",
    "types": [EXAMPLE_TYPE],
    "timezone": "Asia/Dhaka",
    "interval_seconds": 60,
    "greatest_power": 100.0,
    "zone_id": 1,
    "zone": {"id": 1, "name": "Block A"},
    "status": "online",
    "status_since": EXAMPLE_TIME,
    "first_seen": EXAMPLE_TIME,
    "last_heard": EXAMPLE_TIME,
    "last_reading": EXAMPLE_TIME,
    "replaces": None,
    "replaced_by": None,
    "confirmed_at": EXAMPLE_TIME,
    "confirmed_by": "admin",
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


def _types(**options: Any) -> ma.fields.List[Any]:
    return ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(1, 64)),
        validate=ma.validate.Length(max=MAX_TYPES),
        metadata=describe("data types it sends, by name", example=[EXAMPLE_TYPE]),
        **options,
    )


def _interval(**options: Any) -> ma.fields.Integer:
    bounds = ma.validate.Range(1, MAX_INTERVAL_SECONDS)
    return WholeNumber(allow_none=True, validate=bounds, metadata=describe(INTERVAL_DESCRIPTION), **options)


class _Power(ma.fields.Float):
    """A number, written as one: `Float` takes texts, too."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


def _greatest_power(**options: Any) -> ma.fields.Float:
    bounds = ma.validate.Range(0, MAX_POWER, min_inclusive=False)
    return _Power(allow_none=True, validate=bounds, metadata=describe(POWER_DESCRIPTION, example=100), **options)


def _zone_id(**options: Any) -> ma.fields.Integer:
    return WholeNumber(
        allow_none=True,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("id of its service zone; null: none"),
        **options,
    )


def _device_id(value: str) -> None:
    if not is_device_id(value):
        raise ma.ValidationError(f"{value!r} is not a valid device id.")


class ZoneOfDevice(ma.Schema):
    """The service zone of a device."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the zone"))
    name = ma.fields.String(required=True, metadata=describe("its name"))


class DeviceSchema(ma.Schema):
    """A device."""

    id = ma.fields.Integer(required=True, metadata=describe("id in this API"))
    device_id = ma.fields.String(required=True, metadata=describe("id that the device sends, as in readings"))
    name = ma.fields.String(required=True, metadata=describe("name of the device, for people"))
    types = ma.fields.List(ma.fields.String(), required=True, metadata=describe("data types it sends"))
    timezone = ma.fields.String(required=True, allow_none=True, metadata=describe(TIMEZONE_DESCRIPTION))
    interval_seconds = ma.fields.Integer(required=True, allow_none=True, metadata=describe(INTERVAL_DESCRIPTION))
    greatest_power = ma.fields.Float(required=True, allow_none=True, metadata=describe(POWER_DESCRIPTION))
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("id of its service zone; null: none"))
    zone = ma.fields.Nested(ZoneOfDevice, required=True, allow_none=True, metadata=describe("service zone"))
    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("whether it sends")
    )
    status_since = time_field("when its status last changed, UTC", null=True)
    first_seen = time_field("when it first sent something, UTC", null=True)
    last_heard = time_field("when it last sent something, UTC", null=True)
    last_reading = time_field("timestamp of its newest reading, UTC", null=True)
    replaces = ma.fields.String(
        required=True, allow_none=True, metadata=describe("id of the device that it replaced; null: none")
    )
    replaced_by = ma.fields.String(
        required=True, allow_none=True, metadata=describe("id of the device that replaced it; null: none")
    )
    confirmed_at = time_field("when it was confirmed, UTC; null: it was only heard", null=True)
    confirmed_by = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe("user who confirmed it, or `policy`; null: nobody, or before version 0.3"),
    )
    created_at = time_field("when it was registered, UTC")
    updated_at = time_field("when its registration was last changed, UTC")


class DevicePage(PageSchema):
    """A page of devices."""

    results = ma.fields.List(ma.fields.Nested(DeviceSchema), required=True)


class DeviceQuery(PageQuery):
    """Which devices."""

    device_id = text_field("exactly this device id", 64, 1)
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES), metadata=describe("only devices with this status"))
    type = TypeName("only devices that send this data type")
    confirmed = ma.fields.String(
        validate=ma.validate.OneOf(CONFIRMED),
        metadata=describe(
            "only devices that are confirmed, or that are not; `all`: both. Default: `all`, and `true` with "
            "DEVICE_POLICY=confirm unless `device_id` is given"
        ),
    )
    zone_id = ZoneNumber("only devices in this service zone")


class DeviceChange(ma.Schema):
    """Changes to a device."""

    name = text_field("name of the device, for people", 120, example="Main meter")
    types = _types()
    timezone = text_field(TIMEZONE_DESCRIPTION, 64, 1, example="Asia/Dhaka", allow_none=True)
    interval_seconds = _interval()
    greatest_power = _greatest_power()
    zone_id = _zone_id()


class NewDevice(DeviceChange):
    """A device to be registered."""

    device_id = ma.fields.String(
        required=True,
        validate=(ma.validate.Length(1, 64), FullMatch(r"^[^\x00-\x20$\x7f][^\x00-\x1f\x7f]*$"), _device_id),
        metadata=describe("id that the device sends", example=EXAMPLE_DEVICE_ID),
    )
