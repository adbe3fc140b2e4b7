"""`/api/telemetry/<endpoint>/`: the rows of a data type, readings or buckets, in pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.cursor import CursorField, pack
from greenpower.api.http.fields import device_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, link, page_answer, skipped
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.parameters import (
    AUTO,
    COUNT_MODES,
    EXACT,
    MAX_POINTS_PER_DEVICE,
    NONE,
    fields_field,
    resolution_field,
)
from greenpower.api.telemetry.resolution import choose_tier_view, tier_view_named
from greenpower.api.telemetry.row import presenter, row_projection
from greenpower.api.telemetry.schema import Schemas
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.rollups.rows import RowQuery, Rows
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

OLDEST_FIRST, NEWEST_FIRST = "asc", "desc"
LIST_DESCRIPTION = f"""Without a time range: readings, newest first. With one: oldest first, at the finest resolution
that still has data at `start_time` and gives at most {MAX_POINTS_PER_DEVICE} points per device. The answer names its
`resolution`.

Buckets carry `final`; false means that they may still change. Buckets that no job has stored yet are computed for the
answer; their `id` is null. `cursor=` (empty at first) pages through a list by position: `next` continues right after
the last row, whatever is inserted meanwhile, and at any depth."""


class ListQuery(PageQuery, RangeQuery):
    """Which rows of a data type. Each type adds `resolution` and `fields`."""

    device_id = device_field()
    order = ma.fields.String(
        validate=ma.validate.OneOf((OLDEST_FIRST, NEWEST_FIRST)),
        metadata=describe("oldest (asc) or newest (desc) first; default: oldest with a time range, otherwise newest"),
    )
    stats = ma.fields.Boolean(
        load_default=False, metadata=describe("also n, min, max and more of each value, and the coverage of buckets")
    )
    count = ma.fields.String(
        validate=ma.validate.OneOf(COUNT_MODES),
        metadata=describe(
            "exact: up to 100 000; estimated: exact up to 1000, above that from the density of the first 1000; none: "
            "null. Default: exact, with a cursor none"
        ),
    )
    cursor = CursorField("continue after this position; empty: from the beginning", str, str, datetime, str)

    @ma.validates_schema
    def _fitting_position(self, data: dict[str, Any], **_: Any) -> None:
        if "cursor" in data and data["page"] != 1:
            raise ma.ValidationError("Give either cursor or page, not both.", "page")
        if position := data.get("cursor"):
            resolution, order, *_row = position
            if data["resolution"] not in (AUTO, resolution) or data.get("order", order) != order:
                text = f"The position belongs to a list with resolution={resolution} and order={order}."
                raise ma.ValidationError(text, "cursor")


def list_query(datatype: DataType) -> type[ma.Schema]:
    """The parameters of a type's list."""
    return type("ListQuery", (ListQuery,), {"resolution": resolution_field(datatype), "only": fields_field(datatype)})


def add_list(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """Add the list of rows."""

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"List readings: {datatype.title}", description=LIST_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(list_query(datatype))
    @blueprint.response(200, schemas.page, example=schemas.example)
    def list_readings(query: dict[str, Any]) -> Response:
        # Range and order. A position keeps what its list began with.
        start, end, devices = query.get("start_time"), query.get("end_time"), query["device_id"]
        ranged = start is not None or end is not None
        if position := query.get("cursor"):
            resolution, order, *after = position
        else:
            order, after = query.get("order", OLDEST_FIRST if ranged else NEWEST_FIRST), None
            resolution = RAW if query["resolution"] == AUTO and not ranged else query["resolution"]

        # Resolution.
        tier_views = tier_views_of(datatype)
        if resolution == AUTO:
            tier_view = choose_tier_view(database(), datatype, tier_views, start, end, devices)
        else:
            tier_view = tier_view_named(tier_views, resolution)

        # Rows.
        question = RowQuery(
            start=start,
            end=end,
            devices=devices,
            ascending=order == OLDEST_FIRST,
            after=None if after is None else (after[0], after[1]),
        )
        series = Rows(database(), datatype, tier_views, tier_view, question, datetime.now(UTC))
        names, skip = query["only"], skipped(query)
        page = series.page(skip, query["page_size"], row_projection(tier_view, names, query["stats"]))
        mode = query.get("count", NONE if "cursor" in query else EXACT)
        count = None if mode == NONE else series.count(exact=mode == EXACT, page=page, skip=skip)

        # Page.
        present = presenter(tier_view, names, query["stats"])
        if "cursor" not in query:
            return page_answer(query, page, count, present, resolution=tier_view.resolution)
        following = None
        if page.more:
            last = page.documents[-1]
            following = link(cursor=pack(tier_view.resolution, order, last["timestamp"], last["device_id"]))
        return answer(
            {
                "count": count,
                "next": following,
                "previous": None,
                "resolution": tier_view.resolution,
                "results": [present(document) for document in page.documents],
            }
        )
