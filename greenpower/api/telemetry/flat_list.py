"""`flat/`: the rows of a data type in the flat form, one value per row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flask import Response, current_app

from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.context import database, get_context
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
from greenpower.api.http.json import iso
from greenpower.api.http.known import device_field
from greenpower.api.http.paging import link
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.turns import turn
from greenpower.api.telemetry.parameters import AUTO, fields_field, resolution_field
from greenpower.api.telemetry.resolution import choose_tier_view, tier_view_named
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.rollups.present import presenter, row_projection
from greenpower.mongo.rollups.rows import RowQuery, Rows
from greenpower.sql import RoleName

DEFAULT_SPAN = timedelta(days=1)
FLAT_LIST_DESCRIPTION = f"""{FLAT_DESCRIPTION} Oldest first. Without `start_time`, the day before `end_time`; without
`end_time`, up to now."""


class FlatListQuery(FlatQuery, RangeQuery):
    """Which values. Each type adds `resolution` and `fields`."""

    device_id = device_field()
    columns = columns_field(("unit", "final"))
    cursor = CursorField("in pages: continue after this position; empty: from the beginning", datetime, str)


def add_flat_list(blueprint: Blueprint, datatype: DataType) -> None:
    """Add the list in the flat form."""
    own = {"resolution": resolution_field(datatype), "only": fields_field(datatype)}

    @blueprint.route("/flat/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary=f"Values, one per row: {datatype.title}", description=FLAT_LIST_DESCRIPTION, responses=FLAT_RESPONSES
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(type("FlatListQuery", (FlatListQuery,), own))
    @blueprint.response(200, FlatSeries)
    def list_values(query: dict[str, Any]) -> Response:
        now = datetime.now(UTC)
        now -= timedelta(microseconds=now.microsecond % 1000)
        end = query.get("end_time", now)
        start = query.get("start_time") or _before(end)
        names, devices, position = query["only"], query["device_id"], query.get("cursor")

        tier_views = tier_views_of(datatype)
        if query["resolution"] == AUTO:
            tier_view = choose_tier_view(database(), datatype, tier_views, start, end, devices)
        else:
            tier_view = tier_view_named(tier_views, query["resolution"])
        question = RowQuery(
            start=start,
            end=end,
            devices=devices,
            ascending=True,
            after=None if position is None else (position[0], position[1]),
        )
        zone, dear = get_context().settings.device_zone, partial(turn, current_app)
        series = Rows(database(), datatype, tier_views, tier_view, question, now, zone=zone, turn=dear)
        page = series.page(0, rows_per_answer(datatype, names), row_projection(tier_view, names))

        following = None
        if page.more:
            if "cursor" not in query:
                refuse_too_many(names, instead="Ask for fewer devices, a shorter range or a coarser `resolution`.")
            last = page.documents[-1]
            # The next page is of the same range and resolution, whatever the time is then.
            following = link(
                start_time=iso(start),
                end_time=iso(end),
                resolution=tier_view.resolution,
                cursor=pack(last["timestamp"], last["device_id"]),
            )
        return flat_answer(query, values_of(page.documents, presenter(tier_view, names), datatype, names), following)


def _before(end: datetime) -> datetime:
    """The begin of a range that has only an end; the calendar begins with the year 1."""
    try:
        return end - DEFAULT_SPAN
    except OverflowError:
        return end
