"""`/api/telemetry/<endpoint>/`: the rows of a data type, readings or buckets, in pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.cursor import pack, unpack
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, link, page_answer, skipped
from greenpower.api.http.refuse import raise_for
from greenpower.api.http.select import device_field, fields_field, shown
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.resolution import AUTO, choose_for, named, resolution_field, tier_views_of
from greenpower.api.telemetry.row import presenter
from greenpower.api.telemetry.schema import Schemas
from greenpower.datatype import DataType
from greenpower.mongo.query import Page
from greenpower.mongo.rollups.series import Question, Series
from greenpower.mongo.rollups.tier_view import RAW, TierView
from greenpower.sql import RoleName

SHOWN = {"topic": 1, "device_id": 1, "timestamp": 1}
SHOWN_OF_BUCKETS = {"device_id": 1, "timestamp": 1, "final": 1}
EXACT, ESTIMATED, NONE = "exact", "estimated", "none"
TEXT = """Without a range of time: readings, newest first. With one: oldest first, and at the finest resolution that
holds `start_time` still and gives at most 2000 points a device. The answer names its `resolution`.

Buckets carry `final`: false where they may change still. Those that no job has stored yet are computed for the answer;
their `id` is null. `cursor=` (empty to begin with) goes through a list by position: `next` leads on right behind
the last row, whatever is inserted meanwhile, and without a limit to its depth."""


class ListQuery(PageQuery, RangeQuery):
    """Which rows of a data type. A type adds `resolution` and `fields`."""

    device_id = device_field()
    order = ma.fields.String(
        validate=ma.validate.OneOf(("asc", "desc")),
        metadata=describe("oldest (asc) or newest (desc) first; by default oldest with a range of time, else newest"),
    )
    stats = ma.fields.Boolean(
        load_default=False, metadata=describe("also n, min, max and more of each value, and what a bucket covers")
    )
    count = ma.fields.String(
        validate=ma.validate.OneOf((EXACT, ESTIMATED, NONE)),
        metadata=describe(
            "exact: up to 100 000; estimated: exact up to 1000, beyond that by how dense the first 1000 are; "
            "none: null. By default exact, with a cursor none"
        ),
    )
    cursor = ma.fields.String(
        validate=ma.validate.Length(max=400), metadata=describe("go on behind this position; empty: from the beginning")
    )


def list_query(datatype: DataType) -> type[ma.Schema]:
    """The parameters of a type's list."""
    return type("ListQuery", (ListQuery,), {"resolution": resolution_field(datatype), "only": fields_field(datatype)})


def add_list(blueprint: Blueprint, datatype: DataType, schemas: Schemas) -> None:
    """The list of rows."""

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"List readings: {datatype.title}", description=TEXT)
    @blueprint.errors(422, 503)
    @blueprint.arguments(list_query(datatype))
    @blueprint.response(200, schemas.page, example=schemas.example)
    def list_readings(query: dict[str, Any]) -> Response:
        position = _position(query)
        tier_view, tier_views = _tier_view(datatype, query)
        ranged = "start_time" in query or "end_time" in query
        question = Question(
            start=query.get("start_time"),
            end=query.get("end_time"),
            devices=query["device_id"],
            ascending=_ascending(query, ranged),
            after=position,
        )
        series = Series(database(), datatype, tier_views, tier_view, question, datetime.now(UTC))
        names, with_stats = query["only"], query["stats"] and tier_view.window is not None
        places = ("payload", "stats") if with_stats else ("payload",)
        always = SHOWN if tier_view.window is None else SHOWN_OF_BUCKETS | ({"coverage": 1} if with_stats else {})
        page = series.page(skipped(query), query["page_size"], shown(names, *places, always=always))
        counted = query.get("count", EXACT if position is None and "cursor" not in query else NONE)
        count = None
        if counted != NONE:
            count = series.count(exact=counted == EXACT, page=page, skip=skipped(query))
        present = presenter(tier_view, names, with_stats)
        if "cursor" in query:
            body = {
                "count": count,
                "next": _onward(page, tier_view, question) if page.more else None,
                "previous": None,
                "resolution": tier_view.resolution,
                "results": [present(document) for document in page.documents],
            }
            return answer(body)
        return page_answer(query, page, count, present, resolution=tier_view.resolution)


def _ascending(query: dict[str, Any], ranged: bool) -> bool:
    return bool(query["order"] == "asc") if "order" in query else ranged


def _position(query: dict[str, Any]) -> tuple[datetime, str] | None:
    """Where to go on; what was chosen at the beginning of the list stays chosen."""
    text = query.get("cursor")
    if text is None:
        return None
    if query["page"] != 1:
        raise_for("page", "Either cursor or page.")
    if not text:
        return None
    try:
        resolution, order, time, device = unpack(text, str, str, datetime, str)
    except ma.ValidationError as error:
        raise_for("cursor", *error.messages)
    if query["resolution"] not in (AUTO, resolution) or query.get("order", order) != order:
        raise_for("cursor", "The position is one of a list with another resolution or order.")
    query["resolution"], query["order"] = resolution, order
    return time, device


def _tier_view(datatype: DataType, query: dict[str, Any]) -> tuple[TierView, tuple[TierView, ...]]:
    tier_views = tier_views_of(datatype)
    resolution = query["resolution"]
    if resolution != AUTO:
        return named(tier_views, resolution), tier_views
    if "start_time" not in query and "end_time" not in query:
        return named(tier_views, RAW), tier_views
    start, end = query.get("start_time"), query.get("end_time")
    return choose_for(datatype, tier_views, start, end, query["device_id"]), tier_views


def _onward(page: Page, tier_view: TierView, question: Question) -> str:
    last = page.documents[-1]
    order = "asc" if question.ascending else "desc"
    return link(cursor=pack(tier_view.resolution, order, last["timestamp"], last["device_id"]))
