"""`latest/flat/`: the newest reading of each device in the flat form, one value per row."""

from __future__ import annotations

from typing import Any

from flask import Response

from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.context import database
from greenpower.api.http.cursor import CursorField, pack
from greenpower.api.http.flat_form import (
    FLAT_DESCRIPTION,
    FLAT_RESPONSES,
    FlatQuery,
    FlatSeries,
    columns_field,
    flat_answer,
    refuse_too_many,
    rows_per_answer,
    values_of,
)
from greenpower.api.http.known import device_field
from greenpower.api.http.paging import MAX_PAGE_SIZE, link
from greenpower.api.telemetry.parameters import fields_field
from greenpower.datatype import DataType
from greenpower.mongo.readings.latest import add_newest_values, by_time, find_latest
from greenpower.mongo.rollups.present import field_projection, present_reading
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import RoleName

FLAT_LATEST_DESCRIPTION = f"""{FLAT_DESCRIPTION} Of the newest reading of each device, in order of devices. Newest by
timestamp, however old: look at the timestamp."""


class FlatLatestQuery(FlatQuery):
    """Which devices' newest values. Each type adds `fields`."""

    device_id = device_field()
    columns = columns_field(("unit",))
    cursor = CursorField("in pages: continue after this position; empty: from the beginning", str)


def add_flat_latest(blueprint: Blueprint, datatype: DataType) -> None:
    """Add the newest readings in the flat form."""
    query_of_type = type("FlatLatestQuery", (FlatLatestQuery,), {"only": fields_field(datatype)})

    @blueprint.route("/latest/flat/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary=f"Newest values, one per row: {datatype.title}",
        description=FLAT_LATEST_DESCRIPTION,
        responses=FLAT_RESPONSES,
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(query_of_type)
    @blueprint.response(200, FlatSeries)
    def list_latest_values(query: dict[str, Any]) -> Response:
        names, position = query["only"], query.get("cursor")
        size = min(MAX_PAGE_SIZE, rows_per_answer(datatype, names))
        after = position[0] if position else ""
        found = find_latest(
            database()[datatype.collection], query["device_id"], after, size + 1, field_projection(names)
        )
        following = None
        if len(found) > size:
            if "cursor" not in query:
                refuse_too_many(names, instead="Ask for fewer devices.")
            following = link(cursor=pack(found[size - 1]["device_id"]))
        found = found[:size]
        if datatype.gathers:
            add_newest_values(database()[datatype.collection], database()[SEEN], datatype.name, found, names)
            found = by_time(found)
        return flat_answer(query, values_of(found, present_reading, datatype, names), following)
