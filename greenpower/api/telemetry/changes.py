"""`changes/`: what was written since, for those who keep a copy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.cursor import pack, unpack
from greenpower.api.http.json import answer
from greenpower.api.http.paging import LARGEST_PAGE, link
from greenpower.api.http.refuse import raise_for
from greenpower.api.telemetry.readings import SHOWN, SHOWN_OF_BUCKETS
from greenpower.api.telemetry.resolution import named, resolution_field, tier_views_of
from greenpower.api.telemetry.row import presenter
from greenpower.api.telemetry.schema import Schemas
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.changes import Position, find_changes
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

TEXT = """Rows in the order in which they were last written, late and recomputed ones included. Begin without `after`;
then give the `after` of the last answer. While `next` is not null there is more at once, else ask again later. Rows
appear a while after they were written (`until` says how far this answer goes), so that no slower writer's row is passed
over. A row that is written again appears again with the same `id`: the later one counts. What is deleted does not
appear: what retention lets go, and the rare bucket of which no reading is left; a copy lets go of old rows itself."""


class ChangeQuery(ma.Schema):
    """From where on. A type adds `resolution`."""

    after = ma.fields.String(
        load_default="", validate=ma.validate.Length(max=400), metadata=describe("the `after` of the last answer")
    )
    page_size = ma.fields.Integer(
        load_default=LARGEST_PAGE, validate=ma.validate.Range(1, LARGEST_PAGE), metadata=describe("rows at most")
    )
    stats = ma.fields.Boolean(load_default=False, metadata=describe("also the statistics and coverage of buckets"))


def add_changes(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """The feed."""
    query_of_type = type("ChangeQuery", (ChangeQuery,), {"resolution": resolution_field(datatype, RAW)})

    @blueprint.route("/changes/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"Changes: {datatype.title}", description=TEXT)
    @blueprint.errors(422, 503)
    @blueprint.arguments(query_of_type)
    @blueprint.response(200, schemas.changes)
    def list_changes(query: dict[str, Any]) -> Response:
        tier_view = named(tier_views_of(datatype), query["resolution"])
        # Taken before the query: what is younger than this was not looked for.
        now = datetime.now(UTC)
        horizon = now.replace(microsecond=0) - timedelta(seconds=get_context().settings.changes_horizon_seconds)
        buckets = tier_view.window is not None
        places = {"payload": 1} | ({"stats": 1, "coverage": 1} if buckets and query["stats"] else {})
        projection = places | (SHOWN_OF_BUCKETS if buckets else SHOWN)
        page = find_changes(database()[tier_view.collection], _position(query), horizon, query["page_size"], projection)
        present = presenter(tier_view, (), query["stats"])
        after = query["after"] or None
        if page.documents:
            last = page.documents[-1]
            after = pack(tier_view.resolution, last["updated_at"], str(last["_id"]))

        def row(document: Document) -> Document:
            return {**present(document), "updated_at": document["updated_at"]}

        return answer(
            {
                "after": after,
                "next": link(after=after) if page.more else None,
                "until": horizon,
                "resolution": tier_view.resolution,
                "results": [row(document) for document in page.documents],
            }
        )


def _position(query: dict[str, Any]) -> Position | None:
    if not query["after"]:
        return None
    try:
        resolution, time, identity = unpack(query["after"], str, datetime, str)
    except ma.ValidationError as error:
        raise_for("after", *error.messages)
    if resolution != query["resolution"] or not ObjectId.is_valid(identity):
        raise_for("after", "The position is one of another resolution.")
    return time, ObjectId(identity)
