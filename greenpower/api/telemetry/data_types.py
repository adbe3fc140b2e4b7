"""`/api/data-types/`: the data types with their fields, for pages and programs that show whatever is installed."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.devices.command_schema import DeclaredCommandSchema, present_declared
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import get_context
from greenpower.api.http.json import answer
from greenpower.api.telemetry.parameters import resolutions
from greenpower.api.telemetry.schema import TYPE
from greenpower.catalog.facts import resource_path
from greenpower.config import Settings
from greenpower.datatype import DataType, Kind
from greenpower.datatype.unit import UNITS
from greenpower.mongo.schema.layout import retention
from greenpower.sql import RoleName

KINDS = tuple(kind.value for kind in Kind)


class FieldSchema(ma.Schema):
    """A measured value."""

    name = ma.fields.String(required=True, metadata=describe("its key in `payload`", example="ua"))
    title = ma.fields.String(required=True, metadata=describe("for people", example="voltage, phase A"))
    unit = ma.fields.String(required=True, metadata=describe("its unit; 1: none", example="V"))
    quantity = ma.fields.String(required=True, metadata=describe("what its unit measures", example="voltage"))
    kind = ma.fields.String(
        required=True, validate=ma.validate.OneOf(KINDS), metadata=describe("decides its statistics")
    )
    low = ma.fields.Float(required=True, allow_none=True, metadata=describe("the least that is plausible"))
    high = ma.fields.Float(required=True, allow_none=True, metadata=describe("the greatest that is plausible"))


class TierSchema(ma.Schema):
    """A collection of buckets."""

    prefix = ma.fields.String(required=True, metadata=describe("before the collection's name", example="today_"))
    resolution = ma.fields.String(required=True, metadata=describe("length of its buckets", example="1m"))
    retention_seconds = ma.fields.Integer(required=True, metadata=describe("how long they are kept; 0: for ever"))


class DataTypeSchema(ma.Schema):
    """A kind of device message."""

    name = ma.fields.String(required=True, metadata=describe("its name", example=TYPE))
    title = ma.fields.String(required=True, metadata=describe("for people", example="Power meters"))
    path = ma.fields.String(
        required=True, allow_none=True, metadata=describe("address of its readings; null: not served")
    )
    stale_after = ma.fields.Integer(required=True, metadata=describe("seconds of silence that are normal"))
    open = ma.fields.Boolean(required=True, metadata=describe("whether it keeps values that are not declared"))
    fields_ = ma.fields.List(ma.fields.Nested(FieldSchema), required=True, data_key="fields")
    resolutions = ma.fields.List(ma.fields.String(), required=True, metadata=describe("finest first"))
    tiers = ma.fields.List(ma.fields.Nested(TierSchema), required=True)
    commands = ma.fields.List(ma.fields.Nested(DeclaredCommandSchema), required=True)


class DataTypeList(ma.Schema):
    """The data types."""

    results = ma.fields.List(ma.fields.Nested(DataTypeSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("data-types", __name__, url_prefix="/api/data-types", description="What is measured")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.response(200, DataTypeList)
    def list_types() -> Response:
        """List data types

        By name, with what is known of every value.
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
                "unit": field.unit,
                "quantity": UNITS[field.unit],
                "kind": field.kind.value,
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
                "retention_seconds": retention(settings, tier.retention),
            }
            for tier in datatype.tiers
        ],
        "commands": [present_declared(command) for command in datatype.commands],
    }
