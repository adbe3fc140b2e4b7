"""The bodies and answers of `/api/energy/divisors/`."""

from __future__ import annotations

from datetime import date
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
    valid_from_field,
)
from greenpower.api.http.paging import PageSchema
from greenpower.api.http.visible_devices import shown_device
from greenpower.energy.divisor import DivisorKind
from greenpower.sql.divisor import Divisor
from greenpower.sql.user import LARGEST_ID

MAX_VALUES = 200
NUMBER = r"^[0-9]{1,12}(\.[0-9]{1,8})?$"
EXAMPLE_VALUE = {"valid_from": "2026-01-01", "value": "1250.5"}
EXAMPLE_DIVISOR = {
    "id": 1,
    "name": "Floor area",
    "unit": "m²",
    "kind": DivisorKind.CONSTANT.value,
    "values": [EXAMPLE_VALUE],
    "counter": None,
    "zone_id": 1,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


class ConstantSchema(ma.Schema):
    """A value that is valid from a local day on."""

    valid_from = valid_from_field()
    value = ma.fields.String(
        required=True,
        validate=FullMatch(NUMBER, error="Give a decimal number as text, such as 1250.5."),
        metadata=describe("the value; a decimal number as text", example="1250.5"),
    )


class NewCounterSchema(ma.Schema):
    """A counter of a device."""

    type = text_field("data type", 64, 1, example=EXAMPLE_TYPE, required=True)
    device_id = text_field("the device", 64, 1, example=EXAMPLE_DEVICE_ID, required=True)
    field = text_field("its counter", 64, 1, example="pieces", required=True)


class DividingCounterSchema(ma.Schema):
    """A counter of a device."""

    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    device_id = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe("the device; null: one that you may not see", example=EXAMPLE_DEVICE_ID),
    )
    field = ma.fields.String(required=True, metadata=describe("its counter", example="pieces"))


class DivisorSchema(ma.Schema):
    """A divisor."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the divisor"))
    name = ma.fields.String(required=True, metadata=describe("its name", example="Floor area"))
    unit = ma.fields.String(required=True, metadata=describe("its unit", example="m²"))
    kind = ma.fields.Enum(DivisorKind, by_value=True, required=True, metadata=describe("what it is"))
    values = ma.fields.List(
        ma.fields.Nested(ConstantSchema), required=True, metadata=describe("of a constant; else empty")
    )
    counter = ma.fields.Nested(
        DividingCounterSchema, required=True, allow_none=True, metadata=describe("of a counter; else null")
    )
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("its service zone"))
    created_at = time_field("when it was made, UTC")
    updated_at = time_field("when it was last changed, UTC")


class DivisorPage(PageSchema):
    """A page of divisors."""

    results = ma.fields.List(ma.fields.Nested(DivisorSchema), required=True)


class DivisorChange(ma.Schema):
    """Changes to a divisor. Values that are given replace all that it has; `counter` makes it one of a counter."""

    name = text_field("name of the divisor, unique", 120, 1, example="Floor area")
    unit = text_field("its unit, for showing", 16, 1, example="m²")
    values = ma.fields.List(
        ma.fields.Nested(ConstantSchema),
        validate=ma.validate.Length(1, MAX_VALUES),
        metadata=describe("values of a constant, each from a local day on"),
    )
    counter = ma.fields.Nested(NewCounterSchema, metadata=describe("the counter that amounts are divided by"))
    zone_id = WholeNumber(
        allow_none=True,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("its service zone; null: none", example=1),
    )


class NewDivisor(DivisorChange):
    """A new divisor: of `values`, or of a `counter`."""

    name = text_field("name of the divisor, unique", 120, 1, example="Floor area", required=True)
    unit = text_field("its unit, for showing", 16, 1, example="m²", required=True)


def present_divisor(divisor: Divisor) -> dict[str, Any]:
    """A divisor as the API shows it."""
    counter = divisor.content.get("counter")
    values = divisor.content.get("values", [])
    return {
        **{name: getattr(divisor, name) for name in EXAMPLE_DIVISOR if name not in ("values", "counter")},
        "values": [{**one, "valid_from": date.fromisoformat(one["valid_from"]).isoformat()} for one in values],
        "counter": None if counter is None else {**counter, "device_id": shown_device(counter["device_id"])},
    }
