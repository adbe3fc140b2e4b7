"""`/api/data-types/`: the data types and their fields, for pages and programs that show all installed types."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.devices.command_schema import DeclaredCommandSchema, present_declared
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import get_context
from greenpower.api.http.fields import EXAMPLE_TYPE
from greenpower.api.http.json import answer
from greenpower.api.telemetry.parameters import resolutions
from greenpower.catalog.facts import resource_path
from greenpower.catalog.retention import tier_retention
from greenpower.config import Settings
from greenpower.datatype import DataType, Kind
from greenpower.datatype.unit import unit_of
from greenpower.sql import RoleName

KIND_NAMES = tuple(kind.value for kind in Kind)


class FieldSchema(ma.Schema):
    """A measured value."""

    name = ma.fields.String(required=True, metadata=describe("key in `payload`", example="ua"))
    title = ma.fields.String(required=True, metadata=describe("title, for people", example="voltage, phase A"))
    unit = ma.fields.String(required=True, metadata=describe("unit; 1: none", example="V"))
    quantity = ma.fields.String(required=True, metadata=describe("quantity that the unit measures", example="voltage"))
    kind = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(KIND_NAMES),
        metadata=describe("kind of value; decides its statistics"),
    )
    codes = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        values=ma.fields.String(),
        metadata=describe(
            "names of the values of an enumeration, by code or number of the bit; empty for other kinds",
            example={"0": "off", "1": "running"},
        ),
    )
    bits = ma.fields.Boolean(required=True, metadata=describe("whether the codes are bits, 0 the lowest"))
    low = ma.fields.Float(required=True, allow_none=True, metadata=describe("smallest plausible value"))
    high = ma.fields.Float(required=True, allow_none=True, metadata=describe("largest plausible value"))


class TierSchema(ma.Schema):
    """A collection of buckets."""

    prefix = ma.fields.String(required=True, metadata=describe("prefix of the collection's name", example="today_"))
    resolution = ma.fields.String(required=True, metadata=describe("length of its buckets", example="1m"))
    retention_seconds = ma.fields.Integer(required=True, metadata=describe("how long buckets are kept; 0: for ever"))


class DataTypeSchema(ma.Schema):
    """A kind of device message."""

    name = ma.fields.String(required=True, metadata=describe("name of the data type", example=EXAMPLE_TYPE))
    title = ma.fields.String(required=True, metadata=describe("title, for people", example="Power meters"))
    path = ma.fields.String(required=True, allow_none=True, metadata=describe("path of its readings; null: not served"))
    stale_after = ma.fields.Integer(
        required=True, metadata=describe("seconds without data after which a device counts as offline")
    )
    open = ma.fields.Boolean(required=True, metadata=describe("whether undeclared values are stored too"))
    fields_ = ma.fields.List(ma.fields.Nested(FieldSchema), required=True, data_key="fields")
    resolutions = ma.fields.List(ma.fields.String(), required=True, metadata=describe("finest first"))
    tiers = ma.fields.List(ma.fields.Nested(TierSchema), required=True)
    commands = ma.fields.List(ma.fields.Nested(DeclaredCommandSchema), required=True)


class DataTypeList(ma.Schema):
    """The data types."""

    results = ma.fields.List(ma.fields.Nested(DataTypeSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("data-types", __name__, url_prefix="/api/data-types", description="Data types")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.response(200, DataTypeList)
    def list_types() -> Response:
        """List data types

        All installed data types, with their fields, tiers and commands.
        """
        context = get_context()
        return with_etag(answer({"results": [_present(datatype, context.settings) for datatype in context.registry]}))

    return blueprint


def _present(datatype: DataType, settings: Settings) -> dict[str, Any]:
    return {
        "name": datatype.name,
        "title": datatype.title,
        "path": resource_path(datatype),
        "stale_after": datatype.stale_after,
        "open": datatype.open,
        "fields": [
            {
                "name": field.name,
                "title": field.title or field.name,
                "unit": str(field.unit),
                "quantity": unit_of(field.unit).quantity,
                "kind": field.kind.value,
                "codes": {str(code): name for code, name in sorted(field.codes.items())},
                "bits": field.bits,
                "low": field.low,
                "high": field.high,
            }
            for field in datatype.fields
        ],
        "resolutions": list(resolutions(datatype)),
        "tiers": [
            {
                "prefix": tier.prefix,
                "resolution": tier.resolution,
                "retention_seconds": tier_retention(tier, settings),
            }
            for tier in datatype.tiers
        ],
        "commands": [present_declared(command) for command in datatype.commands],
    }
