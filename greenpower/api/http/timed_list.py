"""Lists of documents in order of a time, in pages that stay one list: of events, incidents, corrections, exchanges.

What belongs here: their position, and their answer. What does not: lists of rows, which may be made on the fly
(`greenpower.api.telemetry.readings`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response
from pymongo.collection import Collection

from greenpower.api.http.blueprint import describe
from greenpower.api.http.cursor import NO_COUNT, CursorField, pack
from greenpower.api.http.json import iso
from greenpower.api.http.paging import CURSOR_DESCRIPTION, PageQuery, page_answer, skipped
from greenpower.mongo.client import Document
from greenpower.mongo.query import beyond, count, end_of, find_page

OLDEST_FIRST, NEWEST_FIRST = "asc", "desc"
ORDERS = (OLDEST_FIRST, NEWEST_FIRST)


class TimedPageQuery(PageQuery):
    """Which page of such a list."""

    cursor = CursorField(CURSOR_DESCRIPTION, str, datetime, str, counted=True)

    @ma.validates_schema
    def _fitting_position(self, data: dict[str, Any], **_: Any) -> None:
        if position := data.get("cursor"):
            order, _time, identity, _count = position
            if order not in ORDERS or not ObjectId.is_valid(identity) or data.get("order", order) != order:
                raise ma.ValidationError("Not a position from an earlier answer of this list.", "cursor")


def order_field(default: str) -> ma.fields.String:
    """The parameter `order`. default: what it is if not given, as text."""
    return ma.fields.String(
        validate=ma.validate.OneOf(ORDERS),
        metadata=describe(f"oldest (asc) or newest (desc) first; default: {default}"),
    )


def timed_page_answer(
    query: dict[str, Any],
    collection: Collection[Document],
    where: Document,
    present: Callable[[Document], Document],
    *,
    by: str,
    order: str = NEWEST_FIRST,
    ranged: bool = True,
    ordered: bool = False,
) -> Response:
    """The answer of a list of documents, ordered by the time `by` and their ids.

    ranged: whether the query has `end_time`, a filter on that time; ordered: whether it has `order`. All pages count
    what the first one counted. Raises PyMongoError.
    """
    settled, wanted = NO_COUNT, where
    if position := query.get("cursor"):
        order, time, identity, settled = position
        behind = beyond((time, ObjectId(identity)), by=by, tie="_id", ascending=order == OLDEST_FIRST)
        wanted = {"$and": [where, behind]}
    page = find_page(
        collection,
        wanted,
        by=by,
        ascending=order == OLDEST_FIRST,
        skip=skipped(query),
        limit=query["page_size"],
        projection={},
    )
    if settled == NO_COUNT:
        settled = count(collection, where)
    pins: dict[str, Any] = {"order": order} if ordered else {}
    if ranged and "end_time" not in query and (page.more or query["page"] > 1):
        pins["end_time"] = iso(end_of([collection], {}, by=by, now=datetime.now(UTC)))
    following = None
    if page.more:
        last = page.documents[-1]
        following = pack(order, last[by], str(last["_id"]), settled)
    return page_answer(query, page, settled, present, pins=pins, position=following)
