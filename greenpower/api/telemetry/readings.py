"""`/api/telemetry/<endpoint>/`: the rows of a data type, readings or buckets, in pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import marshmallow as ma
from flask import Response, current_app

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.cursor import NO_COUNT, CursorField, pack
from greenpower.api.http.json import iso
from greenpower.api.http.known import device_field
from greenpower.api.http.paging import (
    CURSOR_DESCRIPTION,
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    PageQuery,
    by_position,
    page_answer,
    skipped,
)
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.timed_list import NEWEST_FIRST, OLDEST_FIRST, order_field
from greenpower.api.http.turns import turn
from greenpower.api.telemetry.parameters import (
    AUTO,
    COUNT_MODES,
    EXACT,
    MAX_POINTS_PER_DEVICE,
    NONE,
    fields_field,
    resolution_field,
)
from greenpower.api.telemetry.resolution import choose_tier_view, open_end, tier_view_named
from greenpower.api.telemetry.schema import Schemas
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.rollups.named_corrections import naming
from greenpower.mongo.rollups.on_the_fly import MAX_DOCUMENTS_ON_THE_FLY
from greenpower.mongo.rollups.present import presenter, row_projection
from greenpower.mongo.rollups.rows import RowQuery, Rows
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

# Rows of few fields: a page has room for a day in minutes.
MAX_NARROW_FIELDS, MAX_NARROW_PAGE_SIZE = 10, 1500

LIST_DESCRIPTION = f"""Without a time range: readings, newest first. With one: oldest first, at the finest resolution
that still has data at `start_time` and gives at most {MAX_POINTS_PER_DEVICE} points per device. The answer names its
`resolution`. The links to other pages name what was chosen, with the end of an open range: all pages are of one list.

Buckets carry `final`; false means that they may still change. Buckets that no job has stored yet are computed for the
answer; their `id` is null. So are those that a tier keeps no longer, where readings or a finer tier of that time are
kept, up to {MAX_DOCUMENTS_ON_THE_FLY} of them: with more, such rows are missing. `cursor=` (empty at first) pages
through a list by position: `next` continues right after the last row, whatever is inserted meanwhile, and at any
depth."""


class ListQuery(PageQuery, RangeQuery):
    """Which rows of a data type. Each type adds `resolution` and `fields`."""

    page_size = ma.fields.Integer(
        load_default=PAGE_SIZE,
        validate=ma.validate.Range(1, MAX_NARROW_PAGE_SIZE),
        metadata=describe(
            f"rows per page; up to {MAX_PAGE_SIZE}, and up to {MAX_NARROW_PAGE_SIZE} with at most {MAX_NARROW_FIELDS} "
            "`fields` and without `stats`"
        ),
    )
    device_id = device_field()
    order = order_field("oldest with a time range, otherwise newest")
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
    cursor = CursorField(CURSOR_DESCRIPTION, str, str, datetime, str, counted=True)

    @ma.validates_schema
    def _fitting_size(self, data: dict[str, Any], **_: Any) -> None:
        is_narrow = 0 < len(data["only"]) <= MAX_NARROW_FIELDS and not data["stats"]
        if data["page_size"] > MAX_PAGE_SIZE and not is_narrow:
            text = f"Must be greater than or equal to 1 and less than or equal to {MAX_PAGE_SIZE}; up to"
            text = f"{text} {MAX_NARROW_PAGE_SIZE} only with at most {MAX_NARROW_FIELDS} fields and without stats."
            raise ma.ValidationError(text, "page_size")

    @ma.validates_schema
    def _fitting_position(self, data: dict[str, Any], **_: Any) -> None:
        if position := data.get("cursor"):
            resolution, order, *_ = position
            if data["resolution"] not in (AUTO, resolution) or data.get("order", order) != order:
                text = f"The position belongs to a list with resolution={resolution} and order={order}."
                raise ma.ValidationError(text, "cursor")


def list_query(datatype: DataType) -> type[ma.Schema]:
    """The parameters of a type's list."""
    return type("ListQuery", (ListQuery,), {"resolution": resolution_field(datatype), "only": fields_field(datatype)})


def add_list(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """Add the list of rows."""

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary=f"List readings: {datatype.title}", description=LIST_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(list_query(datatype))
    @blueprint.response(200, schemas.page, example=schemas.example)
    def list_readings(query: dict[str, Any]) -> Response:
        # Range and order. A position keeps what its list began with.
        now = datetime.now(UTC)
        start, end, devices = query.get("start_time"), query.get("end_time"), query["device_id"]
        ranged = start is not None or end is not None
        after, settled = None, NO_COUNT
        if position := query.get("cursor"):
            resolution, order, *row, settled = position
            after = (row[0], row[1])
        else:
            order = query.get("order", OLDEST_FIRST if ranged else NEWEST_FIRST)
            resolution = RAW if query["resolution"] == AUTO and not ranged else query["resolution"]

        # Resolution.
        tier_views = tier_views_of(datatype)
        if resolution == AUTO:
            tier_view = choose_tier_view(database(), datatype, tier_views, start, end, devices)
        else:
            tier_view = tier_view_named(tier_views, resolution)

        # Rows.
        question = RowQuery(start=start, end=end, devices=devices, ascending=order == OLDEST_FIRST, after=after)
        zone, dear = get_context().settings.device_zone, partial(turn, current_app)
        series = Rows(database(), datatype, tier_views, tier_view, question, now, zone=zone, turn=dear)
        names, skip = query["only"], skipped(query)
        page = series.page(skip, query["page_size"], row_projection(tier_view, names, query["stats"]))

        # Count: once for all pages.
        mode = query.get("count", NONE if by_position(query) else EXACT)
        count = None if mode == NONE or settled == NO_COUNT else settled
        if mode != NONE and count is None:
            if after is None:
                count = series.count(exact=mode == EXACT, page=page, skip=skip)
            else:
                whole = Rows(
                    database(),
                    datatype,
                    tier_views,
                    tier_view,
                    replace(question, after=None),
                    now,
                    zone=zone,
                    turn=dear,
                )
                count = whole.count(exact=mode == EXACT)

        # Page.
        present = naming(
            presenter(tier_view, names, query["stats"]),
            database(),
            datatype.name,
            tier_view,
            names=names,
            devices=devices,
            start=start,
            end=end,
        )
        pins = {"resolution": tier_view.resolution, "order": order, "count": mode}
        if end is None and (page.more or query["page"] > 1):
            pins["end_time"] = iso(open_end(database(), tier_views, tier_view, devices, now))
        following = None
        if page.more:
            last = page.documents[-1]
            counted = NO_COUNT if count is None else count
            following = pack(tier_view.resolution, order, last["timestamp"], last["device_id"], counted)
        return page_answer(query, page, count, present, pins=pins, position=following, resolution=tier_view.resolution)
