"""`latest/` and `devices/` of a data type: what is newest of each device, and which devices were heard."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.cursor import pack, unpack
from greenpower.api.http.json import answer
from greenpower.api.http.moment import moment
from greenpower.api.http.paging import LARGEST_PAGE, link
from greenpower.api.http.refuse import raise_for
from greenpower.api.http.select import device_field, fields_field, shown
from greenpower.api.telemetry.readings import ESTIMATED, EXACT, NONE
from greenpower.api.telemetry.row import present_reading
from greenpower.api.telemetry.schema import DEVICE, Schemas
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.query import count, estimate
from greenpower.mongo.readings.latest import find_latest, find_seen
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import RoleName

LARGEST_COUNTED = 100


class DeviceQuery(ma.Schema):
    """Which devices."""

    device_id = device_field()
    cursor = ma.fields.String(
        load_default="", validate=ma.validate.Length(max=400), metadata=describe("go on behind this position")
    )


class SeenQuery(DeviceQuery):
    """Which devices, and how their readings are counted."""

    page_size = ma.fields.Integer(
        load_default=50, validate=ma.validate.Range(1, LARGEST_COUNTED), metadata=describe("devices a page")
    )
    count = ma.fields.String(
        load_default=ESTIMATED,
        validate=ma.validate.OneOf((EXACT, ESTIMATED, NONE)),
        metadata=describe("how `readings` is found: exact to 100 000, estimated beyond 1000, or not at all"),
    )


class LatestQuery(DeviceQuery):
    """Which devices' newest readings."""

    page_size = ma.fields.Integer(
        load_default=LARGEST_PAGE, validate=ma.validate.Range(1, LARGEST_PAGE), metadata=describe("devices a page")
    )


class SeenSchema(ma.Schema):
    """A device of a type, as it was heard. Times of ingest, but for `last_reading`."""

    device_id = ma.fields.String(required=True, metadata=describe("the device", example=DEVICE))
    first_seen = moment("when it was first heard", null=True)
    last_seen = moment("when it last gave a sign of life", null=True)
    last_reading = moment("the measured time of its newest reading", null=True)
    readings = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("how many readings of it there are now, raw", example=2880)
    )


class SeenPage(ma.Schema):
    """A page of devices."""

    next = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the page after this one"))
    results = ma.fields.List(ma.fields.Nested(SeenSchema), required=True)


def add_latest(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """The newest measured reading of each device, and the devices."""
    latest_query = type("LatestQuery", (LatestQuery,), {"only": fields_field(datatype)})

    @blueprint.route("/latest/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(
        summary=f"Newest reading of each device: {datatype.title}",
        description="By measured time, whenever it arrived. In order of devices.",
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(latest_query)
    @blueprint.response(200, schemas.latest)
    def list_latest(query: dict[str, Any]) -> Response:
        size = query["page_size"]
        fields = shown(query["only"], "payload", always={})
        rows = find_latest(database()[datatype.collection], query["device_id"], _after(query), size + 1, fields)
        return _page(rows, size, present_reading)

    @blueprint.route("/devices/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(
        summary=f"Devices that were heard: {datatype.title}",
        description="When each was first and last heard, by what ingest wrote down, and how many readings there are.",
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(SeenQuery)
    @blueprint.response(200, SeenPage)
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
                "last_seen": row.get("last_heard"),
                "last_reading": row.get("last_reading"),
                "readings": readings,
            }

        return _page(rows, size, present)


def _after(query: dict[str, Any]) -> str:
    if not query["cursor"]:
        return ""
    try:
        return str(unpack(query["cursor"], str)[0])
    except ma.ValidationError as error:
        raise_for("cursor", *error.messages)


def _page(rows: list[Document], size: int, present: Any) -> Response:
    more = len(rows) > size
    rows = rows[:size]
    following = link(cursor=pack(rows[-1]["device_id"])) if more else None
    return answer({"next": following, "results": [present(row) for row in rows]})
