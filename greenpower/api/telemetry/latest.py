"""`latest/` and `devices/` of a data type: the newest reading of each device, and which devices have reported."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.cursor import CursorField, pack
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_TIME, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.known import device_field
from greenpower.api.http.paging import MAX_PAGE_SIZE, link
from greenpower.api.telemetry.parameters import COUNT_MODES, ESTIMATED, EXACT, fields_field
from greenpower.api.telemetry.schema import Schemas
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.query import count, estimate
from greenpower.mongo.readings.latest import add_newest_values, find_latest, find_seen
from greenpower.mongo.rollups.named_corrections import naming
from greenpower.mongo.rollups.present import Present, field_projection, present_reading
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import RoleName

# Each device on a page costs a count.
MAX_COUNTED_DEVICES = 100


class DevicePageQuery(ma.Schema):
    """Which devices, and from where to continue."""

    device_id = device_field()
    cursor = CursorField("continue after this position", str)


class ReportingQuery(DevicePageQuery):
    """Which devices, and how their readings are counted."""

    page_size = ma.fields.Integer(
        load_default=50, validate=ma.validate.Range(1, MAX_COUNTED_DEVICES), metadata=describe("devices per page")
    )
    count = ma.fields.String(
        load_default=ESTIMATED,
        validate=ma.validate.OneOf(COUNT_MODES),
        metadata=describe("how `readings` is counted: exact up to 100 000, estimated above 1000, or not at all"),
    )


class LatestQuery(DevicePageQuery):
    """Which devices' newest readings."""

    page_size = ma.fields.Integer(
        load_default=MAX_PAGE_SIZE, validate=ma.validate.Range(1, MAX_PAGE_SIZE), metadata=describe("devices per page")
    )


class ReportingDeviceSchema(ma.Schema):
    """A device that has reported readings of a type. Times are those of arrival, except `last_reading`."""

    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    first_seen = time_field("when it first reported", null=True)
    last_heard = time_field("when it last sent anything", null=True)
    last_seen = ma.fields.DateTime(
        required=True,
        allow_none=True,
        metadata=describe("the same as `last_heard`: its name before 0.2", deprecated=True, example=EXAMPLE_TIME),
    )
    last_reading = time_field("the timestamp of its newest reading", null=True)
    readings = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("number of its raw readings stored now", example=2880)
    )


class ReportingPage(ma.Schema):
    """A page of devices."""

    next = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the next page"))
    results = ma.fields.List(ma.fields.Nested(ReportingDeviceSchema), required=True)


def add_latest(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """Add the newest reading of each device, and the list of devices."""
    latest_query = type("LatestQuery", (LatestQuery,), {"only": fields_field(datatype)})

    @blueprint.route("/latest/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary=f"Newest reading of each device: {datatype.title}",
        description="Newest by timestamp, regardless of when it arrived. Ordered by device id.",
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(latest_query)
    @blueprint.response(200, schemas.latest)
    def list_latest(query: dict[str, Any]) -> Response:
        size = query["page_size"]
        fields = field_projection(query["only"])
        rows = find_latest(database()[datatype.collection], query["device_id"], _after(query), size + 1, fields)
        readings, names = tier_views_of(datatype)[0], query["only"]
        if datatype.gathers:
            add_newest_values(database()[datatype.collection], database()[SEEN], datatype.name, rows, names)
        devices = [row["device_id"] for row in rows]
        present = naming(present_reading, database(), datatype.name, readings, names=names, devices=devices)
        return _page(rows, size, present)

    @blueprint.route("/devices/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary=f"Devices that have reported: {datatype.title}",
        description="When each device first and last reported, and how many readings of it are stored.",
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(ReportingQuery)
    @blueprint.response(200, ReportingPage)
    def list_seen(query: dict[str, Any]) -> Response:
        size = query["page_size"]
        db = database()
        rows = find_seen(db[SEEN], datatype.name, query["device_id"], _after(query), size + 1)

        def present(row: Document) -> Document:
            where = {"device_id": row["device_id"]}
            readings = None
            if query["count"] == EXACT:
                readings = count(db[datatype.collection], where)
            elif query["count"] == ESTIMATED:
                readings = estimate(db[datatype.collection], where, by="timestamp")
            return {
                "device_id": row["device_id"],
                "first_seen": row.get("first_seen"),
                "last_heard": row.get("last_heard"),
                "last_seen": row.get("last_heard"),
                "last_reading": row.get("last_reading"),
                "readings": readings,
            }

        return _page(rows, size, present)


def _after(query: dict[str, Any]) -> str:
    """The device after which to continue; empty to begin."""
    position = query.get("cursor")
    return position[0] if position else ""


def _page(rows: list[Document], size: int, present: Present) -> Response:
    more = len(rows) > size
    rows = rows[:size]
    following = link(cursor=pack(rows[-1]["device_id"])) if more else None
    return answer({"next": following, "results": [present(row) for row in rows]})
