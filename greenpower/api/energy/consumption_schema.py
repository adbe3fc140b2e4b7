"""Parameters and answers of `consumption/`."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import marshmallow as ma

from greenpower.api.energy.calendar import Unit
from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, device_field, time_field
from greenpower.api.http.time_range import RangeQuery
from greenpower.sql.user import LARGEST_ID

EXAMPLE_BUCKET = "2026-03-29"
EXAMPLE_START, EXAMPLE_END = "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> None:
    if name not in _zones():
        raise ma.ValidationError(f"There is no time zone {name!r}. Give an IANA name such as Asia/Dhaka.")


class ConsumptionQuery(RangeQuery):
    """Energy of which devices, in which buckets. Each type adds `field`."""

    bucket = ma.fields.Enum(
        Unit,
        by_value=True,
        load_default=Unit.DAY,
        metadata=describe("length of the calendar buckets; weeks are ISO weeks, which start on Monday"),
    )
    tz = ma.fields.String(
        load_default="UTC",
        validate=_known_zone,
        metadata=describe("time zone of the calendar, an IANA name", example="Asia/Dhaka"),
    )
    device_id = device_field()
    zone_id = ma.fields.Integer(
        validate=ma.validate.Range(1, LARGEST_ID), metadata=describe("devices of this service zone")
    )

    @ma.post_load
    def _load_zone(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**data, "tz": ZoneInfo(data["tz"])}


class RegisterSchema(ma.Schema):
    """A register that was read."""

    at = time_field("time of the sample")
    value = ma.fields.Float(required=True, metadata=describe("value of the register", example=31.057))


class EnergyBucketSchema(ma.Schema):
    """A calendar bucket and its energy."""

    bucket = ma.fields.String(
        required=True, metadata=describe("name of the bucket, in local time", example=EXAMPLE_BUCKET)
    )
    start = ma.fields.String(required=True, metadata=describe("start, local time", example=EXAMPLE_START))
    end = ma.fields.String(required=True, metadata=describe("end, local time", example=EXAMPLE_END))
    energy = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("energy; null: no samples in the bucket", example=12.4)
    )
    samples = ma.fields.Integer(required=True, metadata=describe("number of samples", example=92))
    final = ma.fields.Boolean(
        required=True, metadata=describe("whether the bucket has ended and no later sample can change it")
    )


class DeviceBucketSchema(ma.Schema):
    """The energy of a device in a calendar bucket."""

    bucket = ma.fields.String(required=True, metadata=describe("name of the bucket", example=EXAMPLE_BUCKET))
    energy = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("energy; null: no samples in the bucket", example=12.4)
    )
    samples = ma.fields.Integer(required=True, metadata=describe("number of samples", example=92))
    coverage = ma.fields.Float(
        required=True,
        metadata=describe("0 to 1: the part of the bucket between the first and the last register", example=1),
    )
    first = ma.fields.Nested(RegisterSchema, required=True, allow_none=True, metadata=describe("register at its start"))
    last = ma.fields.Nested(RegisterSchema, required=True, allow_none=True, metadata=describe("register at its end"))
    final = ma.fields.Boolean(required=True, metadata=describe("whether no later sample can change it"))


class DeviceEnergySchema(ma.Schema):
    """The energy of a device."""

    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    total = ma.fields.Float(required=True, metadata=describe("sum of all buckets", example=12.4))
    results = ma.fields.List(ma.fields.Nested(DeviceBucketSchema), required=True)


class MovedSchema(ma.Schema):
    """A boundary at which the register could not be read."""

    boundary = time_field("the boundary")
    to = time_field("time at which the register was read; null: no data is left", null=True)
    device_id = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the device that was silent; null: moved for all devices")
    )
    resolution = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the finest resolution that is left, if that is the reason")
    )


class ConsumptionSchema(ma.Schema):
    """Energy by calendar buckets, of each device and in total."""

    field = ma.fields.String(required=True, metadata=describe("counter", example="zygsz"))
    unit = ma.fields.String(required=True, metadata=describe("unit of the counter", example="kWh"))
    bucket = ma.fields.String(required=True, metadata=describe("length of the buckets", example="day"))
    tz = ma.fields.String(required=True, metadata=describe("time zone", example="Europe/Berlin"))
    total = ma.fields.Float(required=True, metadata=describe("sum over all devices and buckets", example=12.4))
    results = ma.fields.List(ma.fields.Nested(EnergyBucketSchema), required=True)
    devices = ma.fields.List(ma.fields.Nested(DeviceEnergySchema), required=True)
    moved = ma.fields.List(ma.fields.Nested(MovedSchema), required=True)
