"""`changes/`: what was written since a position, for programs that keep a copy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.cursor import CursorField, pack
from greenpower.api.http.json import answer
from greenpower.api.http.paging import MAX_PAGE_SIZE, link
from greenpower.api.telemetry.parameters import resolution_field
from greenpower.api.telemetry.resolution import tier_view_named
from greenpower.api.telemetry.schema import Schemas
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.changes import find_changes
from greenpower.mongo.rollups.named_corrections import naming
from greenpower.mongo.rollups.present import presenter, row_projection
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

CHANGES_DESCRIPTION = """Rows in the order in which they were last written, including late and recomputed ones. Start
without `after`; then give the `after` of the last answer. While `next` is not null there is more to read now; otherwise
ask again later. Rows appear some time after they were written (`until` says how far this answer goes), so that rows of
slower writers are not missed. A row that is written again appears again with the same `id`: the later one counts.
Deleted rows do not appear: rows past their retention, and the rare bucket whose readings are all gone; a copy must
delete old rows itself."""


class ChangeQuery(ma.Schema):
    """From where to continue. Each type adds `resolution`."""

    after = CursorField("the `after` of the last answer", str, datetime, str)
    page_size = ma.fields.Integer(
        load_default=MAX_PAGE_SIZE, validate=ma.validate.Range(1, MAX_PAGE_SIZE), metadata=describe("rows per page")
    )
    stats = ma.fields.Boolean(load_default=False, metadata=describe("also the statistics and coverage of buckets"))

    @ma.validates_schema
    def _fitting_position(self, data: dict[str, Any], **_: Any) -> None:
        if position := data.get("after"):
            resolution, _time, identity = position
            if resolution != data["resolution"]:
                raise ma.ValidationError(f"The position belongs to resolution={resolution}.", "after")
            if not ObjectId.is_valid(identity):
                raise ma.ValidationError("Not a position from an earlier answer.", "after")


def add_changes(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """Add the feed of changes."""
    query_of_type = type("ChangeQuery", (ChangeQuery,), {"resolution": resolution_field(datatype, RAW)})

    @blueprint.route("/changes/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary=f"Changes: {datatype.title}", description=CHANGES_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(query_of_type)
    @blueprint.response(200, schemas.changes)
    def list_changes(query: dict[str, Any]) -> Response:
        position = None
        if query.get("after"):
            _resolution, time, identity = query["after"]
            position = time, ObjectId(identity)
        tier_view = tier_view_named(tier_views_of(datatype), query["resolution"])
        # Taken before the query, which does not look for younger rows.
        now = datetime.now(UTC)
        until = now.replace(microsecond=0) - timedelta(seconds=get_context().settings.changes_horizon_seconds)
        projection = row_projection(tier_view, with_stats=query["stats"])
        page = find_changes(database()[tier_view.collection], position, until, query["page_size"], projection)
        present = naming(presenter(tier_view, (), query["stats"]), database(), datatype.name, tier_view)

        def present_change(document: Document) -> Document:
            return {**present(document), "updated_at": document["updated_at"]}

        if page.documents:
            last = page.documents[-1]
            position = last["updated_at"], last["_id"]
        after = None if position is None else pack(tier_view.resolution, position[0], str(position[1]))
        return answer(
            {
                "after": after,
                "next": link(after=after, resolution=tier_view.resolution) if page.more else None,
                "until": until,
                "resolution": tier_view.resolution,
                "results": [present_change(document) for document in page.documents],
            }
        )
