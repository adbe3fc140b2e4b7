"""Parameters and answers of `consumption/`."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import marshmallow as ma

from greenpower.api.energy.calendar import Unit
from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import device_field, time_field
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.schema import DEVICE
from greenpower.sql.user import LARGEST_ID

LABEL = "2026-03-29"
LOCAL = "2026-03-29T00:00:00+01:00"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> None:
    if name not in _zones():
        raise ma.ValidationError("No time zone has this name. Names are such as Asia/Dhaka.")


class ConsumptionQuery(RangeQuery):
    """Energy of which devices, in which stretches. A type adds `field`."""

    bucket = ma.fields.Enum(
        Unit,
        by_value=True,
        load_default=Unit.DAY,
        metadata=describe("stretches of local time; weeks are ISO weeks, from Monday on"),
    )
    tz = ma.fields.String(
        load_default="UTC", validate=_known_zone, metadata=describe("whose calendar counts", example="Asia/Dhaka")
    )
    device_id = device_field()
    zone_id = ma.fields.Integer(
        validate=ma.validate.Range(1, LARGEST_ID), metadata=describe("the devices of this service zone")
    )

    @ma.post_load
    def _zone(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**data, "tz": ZoneInfo(data["tz"])}


class RegisterSchema(ma.Schema):
    """A register as it was read."""

    at = time_field("time of the sample")
    value = ma.fields.Float(required=True, metadata=describe("what it showed", example=31.057))


class StretchSchema(ma.Schema):
    """A stretch of local time and the energy of it."""

    bucket = ma.fields.String(required=True, metadata=describe("its name, in local time", example=LABEL))
    start = ma.fields.String(required=True, metadata=describe("from, local time", example=LOCAL))
    end = ma.fields.String(required=True, metadata=describe("up to, local time", example="2026-03-30T00:00:00+02:00"))
    energy = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("what was counted; null: no sample in it", example=12.4)
    )
    samples = ma.fields.Integer(required=True, metadata=describe("how many counted", example=92))
    final = ma.fields.Boolean(required=True, metadata=describe("whether it is over and no sample can change it"))


class DeviceStretchSchema(ma.Schema):
    """The energy of a device in a stretch."""

    bucket = ma.fields.String(required=True, metadata=describe("the stretch", example=LABEL))
    energy = ma.fields.Float(required=True, allow_none=True, metadata=describe("what was counted", example=12.4))
    samples = ma.fields.Integer(required=True, metadata=describe("how many counted", example=92))
    coverage = ma.fields.Float(
        required=True, metadata=describe("0 to 1: the part of it between the first and the last register", example=1)
    )
    first = ma.fields.Nested(
        RegisterSchema, required=True, allow_none=True, metadata=describe("the register at its start")
    )
    last = ma.fields.Nested(
        RegisterSchema, required=True, allow_none=True, metadata=describe("the register at its end")
    )
    final = ma.fields.Boolean(required=True, metadata=describe("whether no sample can change it"))


class DeviceEnergySchema(ma.Schema):
    """The energy of a device."""

    device_id = ma.fields.String(required=True, metadata=describe("the device", example=DEVICE))
    total = ma.fields.Float(required=True, metadata=describe("all of it", example=12.4))
    results = ma.fields.List(ma.fields.Nested(DeviceStretchSchema), required=True)


class MovedSchema(ma.Schema):
    """A boundary at which the register could not be read."""

    boundary = time_field("where it should be")
    to = time_field("where it was read; null: nothing is left", null=True)
    device_id = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the device that was silent; null: moved for all")
    )
    resolution = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the finest there still is, where that made it move")
    )


class ConsumptionSchema(ma.Schema):
    """Energy by stretches, of each device and of all together."""

    field = ma.fields.String(required=True, metadata=describe("the counter", example="zygsz"))
    unit = ma.fields.String(required=True, metadata=describe("its unit", example="kWh"))
    bucket = ma.fields.String(required=True, metadata=describe("length of the stretches", example="day"))
    tz = ma.fields.String(required=True, metadata=describe("time zone", example="Europe/Berlin"))
    total = ma.fields.Float(required=True, metadata=describe("of all devices and stretches", example=12.4))
    results = ma.fields.List(ma.fields.Nested(StretchSchema), required=True)
    devices = ma.fields.List(ma.fields.Nested(DeviceEnergySchema), required=True)
    moved = ma.fields.List(ma.fields.Nested(MovedSchema), required=True)
