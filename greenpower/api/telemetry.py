"""`/api/telemetry/<endpoint>/`: the resource derived from a data type.

What belongs here: the factory and the list of readings. Further views of a type's data are modules of their own, whose
`add` takes the blueprint and the data type.
"""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.blueprint import Blueprint, describe
from greenpower.api.context import database
from greenpower.api.paging import PageQuery, page_answer, skipped
from greenpower.api.schema import Schemas
from greenpower.api.timerange import RangeQuery
from greenpower.datatype import DataType
from greenpower.models import RoleName
from greenpower.store.client import Document
from greenpower.store.query import between, count, find_page, one_of

PREFIX = "/api/telemetry/"
SHOWN = {"topic": 1, "device_id": 1, "timestamp": 1, "payload": 1}
MOST_DEVICES = 100
ORDER = "Readings as they were measured. Without a range of time the newest come first, with one the oldest."


class ReadingQuery(PageQuery, RangeQuery):
    """Which readings of a data type."""

    device_id = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(1, 64)),
        load_default=(),
        validate=ma.validate.Length(max=MOST_DEVICES),
        metadata=describe("only this device's; give it again for several devices"),
    )


def path(endpoint: str) -> str:
    """The address of an endpoint."""
    return f"{PREFIX}{endpoint}/"


def make_blueprint(datatype: DataType, schemas: Schemas) -> Blueprint:
    """The resource of a data type that has an endpoint."""
    assert datatype.endpoint is not None
    blueprint = Blueprint(
        f"telemetry-{datatype.endpoint}",
        __name__,
        url_prefix=path(datatype.endpoint).rstrip("/"),
        description=datatype.title,
    )
    add_list(blueprint, datatype, schemas)
    return blueprint


def add_list(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """The list of readings."""

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"List readings: {datatype.title}", description=ORDER)
    @blueprint.errors(422, 503)
    @blueprint.arguments(ReadingQuery)
    @blueprint.response(200, schemas.page, example=schemas.example)
    def list_readings(query: dict[str, Any]) -> Response:
        ranged = "start_time" in query or "end_time" in query
        where: Document = {
            **one_of("device_id", query["device_id"]),
            **between("timestamp", query.get("start_time"), query.get("end_time")),
        }
        collection = database()[datatype.collection]
        page = find_page(
            collection,
            where,
            by="timestamp",
            ascending=ranged,
            skip=skipped(query),
            limit=query["page_size"],
            projection=SHOWN,
        )
        return page_answer(query, page, count(collection, where), _present)


def _present(document: Document) -> Document:
    return {
        "id": str(document["_id"]),
        "topic": document.get("topic"),
        "device_id": document["device_id"],
        "timestamp": document["timestamp"],
        "payload": document["payload"],
    }
