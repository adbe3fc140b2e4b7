"""Parameters and answers of `consumption/`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import get_context
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, time_field, time_zone_problem
from greenpower.api.http.known import ZoneNumber, device_field
from greenpower.api.http.time_range import RangeQuery, TimeParameter
from greenpower.energy.calendar import Unit

EXAMPLE_BUCKET = "2026-03-29"
EXAMPLE_START, EXAMPLE_END = "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"


def known_time_zone(name: str) -> None:
    """Raises ValidationError for a name that is no time zone."""
    if problem := time_zone_problem(name):
        raise ma.ValidationError(problem)


class CalendarQuery(RangeQuery):
    """Which calendar buckets. Loads `tz` as a ZoneInfo."""

    start_time = TimeParameter(
        metadata=describe(
            "from the bucket of this time on; ISO 8601, local time of `tz` if no offset is given; a date alone: its"
            " midnight"
        )
    )
    end_time = TimeParameter(
        metadata=describe(
            "up to the bucket of this time; a bucket that begins at this very time is not included; a date alone: to"
            " the end of that day"
        )
    )
    bucket = ma.fields.Enum(
        Unit,
        by_value=True,
        load_default=Unit.DAY,
        metadata=describe("length of the calendar buckets; weeks are ISO weeks, which start on Monday"),
    )
    tz = ma.fields.String(
        validate=known_time_zone,
        metadata=describe("time zone of the calendar, an IANA name; default: DEVICE_TIMEZONE", example="Asia/Dhaka"),
    )

    def zone(self, data: dict[str, Any]) -> tzinfo:
        """The zone of the calendar."""
        return ZoneInfo(data.get("tz") or get_context().settings.device_timezone)

    @ma.post_load
    def _load_range(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**super()._load_range(data), "tz": self.zone(data)}


class ConsumptionQuery(CalendarQuery):
    """Energy of which devices, in which buckets. Each type adds `field`."""

    device_id = device_field()
    zone_id = ZoneNumber("devices of this service zone")


class RegisterSchema(ma.Schema):
    """A register that was read."""

    at = time_field("time of the sample")
    value = ma.fields.Float(required=True, metadata=describe("value of the register", example=31.057))


class CorrectedSchema(ma.Schema):
    """What is said of a number that corrections have changed; these keys are there only then."""

    corrected = ma.fields.Boolean(
        metadata=describe("whether a correction has changed it; not there: none", example=True)
    )
    estimated = ma.fields.Boolean(metadata=describe("whether a part of it is an estimate", example=False))
    corrections = ma.fields.List(
        ma.fields.String(), metadata=describe("ids of these corrections, which the answer lists")
    )


class BucketEnergy(CorrectedSchema):
    """What the buckets of a device and those of all devices together have."""

    bucket = ma.fields.String(
        required=True, metadata=describe("name of the bucket, in local time", example=EXAMPLE_BUCKET)
    )
    energy = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("energy; null: no samples in the bucket", example=12.4)
    )
    samples = ma.fields.Integer(required=True, metadata=describe("number of samples", example=92))
    coverage = ma.fields.Float(
        required=True,
        metadata=describe(
            "0 to 1: the part of the bucket between the first and the last register; of several devices the lowest",
            example=1,
        ),
    )
    silence_s = ma.fields.Integer(
        required=True,
        metadata=describe(
            "seconds of silence whose energy is in this bucket: the meter was silent, and what it counted meanwhile is"
            " at its first sample after that; of several devices the longest",
            example=0,
        ),
    )
    undecided = ma.fields.Boolean(
        required=True,
        metadata=describe(
            "whether energy is left out of the bucket until an operator decides an incident", example=False
        ),
    )
    final = ma.fields.Boolean(
        required=True,
        metadata=describe("whether the bucket has ended and no later sample is expected to change it", example=True),
    )


class EnergyBucketSchema(BucketEnergy):
    """A calendar bucket and the energy of all devices."""

    start = ma.fields.String(required=True, metadata=describe("start, local time", example=EXAMPLE_START))
    end = ma.fields.String(required=True, metadata=describe("end, local time", example=EXAMPLE_END))


class DeviceBucketSchema(BucketEnergy):
    """The energy of a device in a calendar bucket."""

    first = ma.fields.Nested(
        RegisterSchema, required=True, allow_none=True, metadata=describe("last register before its start")
    )
    last = ma.fields.Nested(
        RegisterSchema, required=True, allow_none=True, metadata=describe("last register before its end")
    )


class EnergySum(CorrectedSchema):
    """The sum of all buckets, and how good it is."""

    total = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("sum of all buckets; null: no samples", example=12.4)
    )
    final = ma.fields.Boolean(required=True, metadata=describe("whether all buckets are final", example=True))
    undecided = ma.fields.Boolean(required=True, metadata=describe("whether any bucket is undecided", example=False))
    silence_s = ma.fields.Integer(
        required=True, metadata=describe("of all buckets together; of several devices the longest", example=0)
    )


class DeviceEnergySchema(EnergySum):
    """The energy of a device."""

    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
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


class NamedCorrectionSchema(ma.Schema):
    """A correction that has changed a number of the answer."""

    id = ma.fields.String(required=True, metadata=describe("id of the correction"))
    kind = ma.fields.String(required=True, metadata=describe("what it does", example="estimate"))
    type = ma.fields.String(required=True, metadata=describe("data type"))
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    field = ma.fields.String(required=True, metadata=describe("counter", example="zygsz"))
    begin = time_field("begin of its span, UTC")
    end = time_field("end of its span, UTC; null: it has none", null=True)
    reason = ma.fields.String(required=True, metadata=describe("why it was made", example="modem was broken"))
    made_by = ma.fields.String(required=True, metadata=describe("who made it", example="admin"))
    made_at = time_field("when it was made, UTC")


class ConsumptionSchema(EnergySum):
    """Energy by calendar buckets, of each device and in total."""

    field = ma.fields.String(required=True, metadata=describe("counter", example="zygsz"))
    unit = ma.fields.String(required=True, metadata=describe("unit of the counter", example="kWh"))
    bucket = ma.fields.String(required=True, metadata=describe("length of the buckets", example="day"))
    tz = ma.fields.String(required=True, metadata=describe("time zone", example="Europe/Berlin"))
    start = ma.fields.String(
        required=True, metadata=describe("start of the first bucket, local time", example=EXAMPLE_START)
    )
    end = ma.fields.String(required=True, metadata=describe("end of the last bucket, local time", example=EXAMPLE_END))
    results = ma.fields.List(ma.fields.Nested(EnergyBucketSchema), required=True)
    devices = ma.fields.List(ma.fields.Nested(DeviceEnergySchema), required=True)
    moved = ma.fields.List(ma.fields.Nested(MovedSchema), required=True)
    corrections = ma.fields.List(
        ma.fields.Nested(NamedCorrectionSchema),
        required=True,
        metadata=describe("the corrections that have changed any number of the answer"),
    )
