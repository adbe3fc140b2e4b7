"""The bodies and answers of `/api/energy/points/`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import (
    EXAMPLE_DEVICE_ID,
    EXAMPLE_TIME,
    EXAMPLE_TYPE,
    WholeNumber,
    text_field,
    time_field,
)
from greenpower.api.http.known import ZoneNumber
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.api.http.visible_devices import shown_device, shown_points
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.point import MAX_PARTS, PointPart
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.user import LARGEST_ID

EXAMPLE_PART = {
    "type": EXAMPLE_TYPE,
    "device_id": EXAMPLE_DEVICE_ID,
    "field": "energy",
    "sign": 1,
    "begins_at": None,
    "ends_at": EXAMPLE_TIME,
}
EXAMPLE_POINT = {
    "id": 1,
    "name": "Grid connection",
    "description": "",
    "carrier": Carrier.ELECTRICITY.value,
    "unit": "kWh",
    "role": PointRole.GRID_IMPORT.value,
    "parts": [EXAMPLE_PART],
    "parent_id": None,
    "zone_id": 1,
    "tariff_id": 1,
    "proposed": False,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


class _Time(ma.fields.AwareDateTime):
    """A time with its offset: what is kept for years must not depend on who asks."""


class NewPointPart(ma.Schema):
    """A counter of a device as a part of a point."""

    type = text_field("data type", 64, 1, example=EXAMPLE_TYPE, required=True)
    device_id = text_field("the device", 64, 1, example=EXAMPLE_DEVICE_ID, required=True)
    field = text_field("its counter", 64, 1, example="energy", required=True)
    sign = WholeNumber(
        load_default=1,
        validate=ma.validate.Range(-1, 1),
        metadata=describe("1: it is added; -1: it is subtracted", example=1),
    )
    begins_at = _Time(
        load_default=None, allow_none=True, metadata=describe("from when it counts, with an offset; null: always did")
    )
    ends_at = _Time(
        load_default=None, allow_none=True, metadata=describe("until when it counts, with an offset; null: still does")
    )

    @ma.post_load
    def _part(self, data: dict[str, Any], **_: Any) -> PointPart:
        return PointPart(**data)


class PointPartSchema(ma.Schema):
    """A counter of a device as a part of a point."""

    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    device_id = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe("the device; null: one that you may not see", example=EXAMPLE_DEVICE_ID),
    )
    field = ma.fields.String(required=True, metadata=describe("its counter", example="energy"))
    sign = ma.fields.Integer(required=True, metadata=describe("1: it is added; -1: it is subtracted"))
    begins_at = time_field("from when it counts, UTC; null: always did", null=True)
    ends_at = time_field("until when it counts, UTC; null: still does", null=True)


class PointSchema(ma.Schema):
    """A meter point."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the point"))
    name = ma.fields.String(required=True, metadata=describe("name of the point"))
    description = ma.fields.String(required=True, metadata=describe("description of the point"))
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("what it measures"))
    unit = ma.fields.String(required=True, metadata=describe("unit of its amounts", example="kWh"))
    role = ma.fields.Enum(PointRole, by_value=True, required=True, metadata=describe("the part it plays in the site"))
    parts = ma.fields.List(ma.fields.Nested(PointPartSchema), required=True)
    parent_id = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("the point that measures what this one measures, and more")
    )
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("its service zone"))
    tariff_id = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("its tariff; null: that of the next point above with one")
    )
    proposed = ma.fields.Boolean(
        required=True, metadata=describe("whether it was made from the devices that are there, and not changed since")
    )
    created_at = time_field("when it was made, UTC")
    updated_at = time_field("when it was last changed, UTC")


class PointPage(PageSchema):
    """A page of meter points."""

    results = ma.fields.List(ma.fields.Nested(PointSchema), required=True)


class PointListQuery(PageQuery):
    """Which meter points."""

    zone_id = ZoneNumber("only points of this service zone and the zones in it")
    carrier = ma.fields.Enum(Carrier, by_value=True, metadata=describe("only points of this carrier"))
    role = ma.fields.Enum(PointRole, by_value=True, metadata=describe("only points of this role"))


def _number(what: str) -> ma.fields.Integer:
    return WholeNumber(allow_none=True, validate=ma.validate.Range(1, LARGEST_ID), metadata=describe(what, example=1))


class PointChange(ma.Schema):
    """Changes to a meter point. Parts that are given replace all that it has."""

    name = text_field("name of the point, unique", 120, 1, example="Grid connection")
    description = text_field("description of the point", 500)
    carrier = ma.fields.Enum(Carrier, by_value=True, metadata=describe("what it measures"))
    role = ma.fields.Enum(PointRole, by_value=True, metadata=describe("the part it plays in the site"))
    parts = ma.fields.List(
        ma.fields.Nested(NewPointPart),
        validate=ma.validate.Length(max=MAX_PARTS),
        metadata=describe("the counters that are added up"),
    )
    parent_id = _number("the point that measures what this one measures, and more; null: none")
    zone_id = _number("its service zone; null: none")
    tariff_id = _number("its tariff; null: that of the next point above with one")


class NewPoint(PointChange):
    """A new meter point."""

    name = text_field("name of the point, unique", 120, 1, example="Grid connection", required=True)
    carrier = ma.fields.Enum(
        Carrier, by_value=True, load_default=Carrier.ELECTRICITY, metadata=describe("what it measures")
    )
    role = ma.fields.Enum(PointRole, by_value=True, required=True, metadata=describe("the part it plays in the site"))
    parts = ma.fields.List(
        ma.fields.Nested(NewPointPart),
        required=True,
        validate=ma.validate.Length(max=MAX_PARTS),
        metadata=describe("the counters that are added up"),
    )


def present_point(point: MeterPoint) -> dict[str, Any]:
    """A point as the API shows it."""
    return present_points([point])[0]


def present_points(points: Sequence[MeterPoint]) -> list[dict[str, Any]]:
    """Points as the API shows them."""
    parents = shown_points(point.parent_id for point in points)
    return [
        {
            **{name: getattr(point, name) for name in EXAMPLE_POINT if name not in ("unit", "parts")},
            "parent_id": point.parent_id if point.parent_id in parents else None,
            "unit": Carrier(point.carrier).unit,
            "parts": list(map(present_part, point.parts)),
        }
        for point in points
    ]


def present_part(part: dict[str, Any]) -> dict[str, Any]:
    """A stored part as the API shows it."""
    times = {name: _present_time(part[name]) for name in ("begins_at", "ends_at")}
    return {**part, "device_id": shown_device(part["device_id"]), **times}


def _present_time(text: str | None) -> datetime | None:
    """A time of a stored part."""
    return None if text is None else datetime.fromisoformat(text)
