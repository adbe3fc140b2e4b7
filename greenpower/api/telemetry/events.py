"""`/api/telemetry/events/`: every frame as it was received, and its outcome."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.fields import (
    EXAMPLE_DEVICE_ID,
    EXAMPLE_ID,
    EXAMPLE_TIME,
    EXAMPLE_TOPIC,
    EXAMPLE_TYPE,
    FullMatch,
    time_field,
)
from greenpower.api.http.known import DeviceName, TypeName
from greenpower.api.http.paging import PageSchema, example_page
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.timed_list import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    TimedPageQuery,
    order_field,
    timed_page_answer,
)
from greenpower.catalog.facts import EVENTS_ENDPOINT, endpoint_path
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import REDELIVERED, Outcome
from greenpower.mongo.query import between, one_of
from greenpower.mongo.schema.layout import ADDED_NOTHING, EVENTS
from greenpower.sql import RoleName

OUTCOME_NAMES = tuple(outcome.value for outcome in Outcome)
FILTER_NAMES = ("type", "topic", "device_id", "outcome", "reason")
EPOCH = datetime.fromtimestamp(0, UTC)


class EventQuery(TimedPageQuery, RangeQuery):
    """Which events. Times are those of arrival."""

    order = order_field("oldest with a time range, otherwise newest")
    id = ma.fields.String(
        validate=(FullMatch(r"^[0-9a-fA-F]{24}$"), ma.validate.Length(equal=24)),
        metadata=describe("only this event, by id"),
    )
    type = TypeName("only of this data type, by name")
    topic = ma.fields.String(validate=ma.validate.Length(1, 1024), metadata=describe("only with exactly this topic"))
    device_id = DeviceName("only of this device", EVENTS)
    outcome = ma.fields.String(validate=ma.validate.OneOf(OUTCOME_NAMES), metadata=describe("only with this outcome"))
    reason = ma.fields.String(
        validate=ma.validate.Length(1, 64), metadata=describe("only with this reason, for example `zero-frame`")
    )


class EventSchema(ma.Schema):
    """A frame as it was received."""

    id = ma.fields.String(required=True, metadata=describe("id of the event", example=EXAMPLE_ID))
    topic = ma.fields.String(required=True, metadata=describe("topic of the frame", example=EXAMPLE_TOPIC))
    device_id = ma.fields.String(
        required=True, allow_none=True, metadata=describe("device; null: the frame named none")
    )
    timestamp = time_field("when it arrived, UTC")
    payload = ma.fields.String(required=True, metadata=describe("the frame as text, or as hex digits if `hex` is true"))
    type = ma.fields.String(
        required=True, allow_none=True, metadata=describe("data type; null: not matched by any plugin")
    )
    outcome = ma.fields.String(
        required=True, validate=ma.validate.OneOf(OUTCOME_NAMES), metadata=describe("outcome of the frame")
    )
    reason = ma.fields.String(required=True, allow_none=True, metadata=describe("why it was not stored, as a code"))
    detail = ma.fields.String(required=True, allow_none=True, metadata=describe("why it was not stored, as text"))
    left_out = ma.fields.Dict(
        required=True,
        keys=ma.fields.String(),
        values=ma.fields.String(),
        metadata=describe("fields that were left out of the reading, with the reason"),
    )
    conflicts = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("fields for which another frame had given another value")
    )
    reading_timestamps = ma.fields.List(
        ma.fields.DateTime(), required=True, metadata=describe("timestamps of the readings it was stored in")
    )
    hex = ma.fields.Boolean(required=True, metadata=describe("whether `payload` is in hex digits"))
    size = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("size in bytes, if only the beginning of the frame was kept")
    )
    sha256 = ma.fields.String(
        required=True, allow_none=True, metadata=describe("hash of the whole frame, if only the beginning was kept")
    )


class EventPage(PageSchema):
    """A page of events."""

    results = ma.fields.List(ma.fields.Nested(EventSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "telemetry-events",
        __name__,
        url_prefix=endpoint_path(EVENTS_ENDPOINT).rstrip("/"),
        description="Events: frames as received",
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(EventQuery)
    @blueprint.response(200, EventPage, example=_example())
    def list_events(query: dict[str, Any]) -> Response:
        """List events

        Newest first without a time range, oldest first with one.
        """
        ranged = "start_time" in query or "end_time" in query
        order = query.get("order", OLDEST_FIRST if ranged else NEWEST_FIRST)
        return timed_page_answer(
            query, database()[EVENTS], _where(query), present, by="received_at", order=order, ordered=True
        )

    return blueprint


def _where(query: dict[str, Any]) -> Document:
    """The filter, with redundant conditions added if they let MongoDB use an index."""
    where: Document = between("received_at", query.get("start_time"), query.get("end_time"))
    if "id" in query:
        where["_id"] = ObjectId(query["id"])
    for name in FILTER_NAMES:
        if name in query:
            where |= one_of(name, [query[name]])
    if query.get("outcome") == Outcome.STORED:
        if "reason" in query:
            # Stored frames have no reason, so nothing matches.
            where["received_at"] = {"$lt": EPOCH}
        elif "received_at" not in where:
            # Most events are stored ones, so reading in order of time finds them soon.
            where["received_at"] = {"$gte": EPOCH}
    elif "reason" in query and "outcome" not in query:
        # MongoDB uses a partial index only if the query contains its filter literally.
        where |= {"outcome": Outcome.DUPLICATE.value} if query["reason"] == REDELIVERED else ADDED_NOTHING
    return where


def present(document: Document) -> Document:
    """An event as the API shows it; missing values are null or empty."""
    stamps = document.get("timestamp", [])
    return {
        "id": str(document["_id"]),
        "topic": document.get("topic"),
        "device_id": document.get("device_id"),
        "timestamp": document["received_at"],
        "payload": document.get("raw", ""),
        "type": document.get("type"),
        "outcome": document["outcome"],
        "reason": document.get("reason"),
        "detail": document.get("detail"),
        "left_out": document.get("left_out", {}),
        "conflicts": document.get("conflicts", []),
        "reading_timestamps": [stamps] if isinstance(stamps, datetime) else stamps,
        "hex": document.get("hex", False),
        "size": document.get("size"),
        "sha256": document.get("sha256"),
    }


def _example() -> Document:
    event = {
        "_id": EXAMPLE_ID,
        "type": EXAMPLE_TYPE,
        "topic": EXAMPLE_TOPIC,
        "device_id": EXAMPLE_DEVICE_ID,
        "outcome": "stored",
        "raw": "{…}",
    }
    shown = {**present({**event, "received_at": EXAMPLE_TIME}), "reading_timestamps": [EXAMPLE_TIME]}
    return example_page(shown)
