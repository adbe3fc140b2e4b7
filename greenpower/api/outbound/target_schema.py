"""The shapes of outbound targets in the API. What does not belong here: the routes (`targets`), rules
(`target_rules`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TIME, WholeNumber, text_field, time_field
from greenpower.api.http.paging import PageSchema
from greenpower.mongo.outbound.document import OutboundPositionDocument
from greenpower.mongo.outbound.positions import lag_of
from greenpower.sql import OutboundContent, OutboundKind, OutboundTarget
from greenpower.sql.outbound_target import MAX_OUTBOUND_ADDRESS_LENGTH
from greenpower.sql.user import LARGEST_ID

MAX_NAMES = 1_000
NAME_TEXT = "what people call it"
ADDRESS_TEXT = (
    "`https://…`, or for a broker `mqtts://user:password@host`, or `site` for the site's own; it is kept and never "
    "shown"
)
ZONE_TEXT = "only what is in this service zone and the zones in it; null: everything"
EXAMPLE_ADDRESS = "https://energy.example.org/hooks/green-power"
EXAMPLE_STATUS = {
    "lag_seconds": 0.0,
    "feeds": [{"name": "meter", "position": EXAMPLE_TIME, "gap_from": None, "gap_until": None}],
    "deliveries": 120,
    "rows": 5400,
    "errors": 1,
    "failures": 0,
    "gaps": 0,
    "tried_at": EXAMPLE_TIME,
    "succeeded_at": EXAMPLE_TIME,
    "failed_at": None,
    "error": None,
    "next_try": None,
    "test": None,
}
EXAMPLE_TARGET = {
    "id": 1,
    "name": "Energy platform",
    "kind": OutboundKind.WEBHOOK.value,
    "content": OutboundContent.READINGS.value,
    "resolution": None,
    "types": ["meter"],
    "devices": [],
    "fields": [],
    "zone_id": None,
    "topic_prefix": None,
    "retain": False,
    "enabled": True,
    "begin_at": EXAMPLE_TIME,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
    "created_by": "admin",
    "status": EXAMPLE_STATUS,
}
EXAMPLE_NEW_TARGET = {**EXAMPLE_TARGET, "secret": "gpo_Zk3vX0o2m1YtA9cQ4eLr7uBnW5sHjD8fKpGiTqRxNaE"}
SHOWN_AS_STORED = tuple(name for name in EXAMPLE_TARGET if name != "status")
COUNTED = ("deliveries", "rows", "errors", "failures", "gaps")
NOTED = ("tried_at", "succeeded_at", "failed_at", "error", "next_try")


def _names(text: str, length: int, example: str) -> ma.fields.List[str]:
    item = ma.fields.String(validate=ma.validate.Length(1, length))
    return ma.fields.List(item, validate=ma.validate.Length(max=MAX_NAMES), metadata=describe(text, example=[example]))


class OutboundFeedSchema(ma.Schema):
    """How far one feed was taken."""

    name = ma.fields.String(required=True, metadata=describe("its data type, or what it is", example="meter"))
    position = time_field("all that was written before was sent, UTC")
    gap_from = time_field("from then rows may be missing that expired before they were sent; null: none", null=True)
    gap_until = time_field("until then", null=True)


class OutboundTestSchema(ma.Schema):
    """A test that was asked for."""

    asked_at = time_field("when it was asked for, UTC")
    done_at = time_field("when it was sent, UTC; null: it waits for the worker", null=True)
    ok = ma.fields.Boolean(required=True, allow_none=True, metadata=describe("whether the receiver took it"))
    said = ma.fields.String(required=True, allow_none=True, metadata=describe("what became of it"))


class OutboundStatusSchema(ma.Schema):
    """How far a target has been served."""

    lag_seconds = ma.fields.Float(
        required=True, metadata=describe("how far its slowest feed is behind what could be sent, s")
    )
    feeds = ma.fields.List(ma.fields.Nested(OutboundFeedSchema), required=True, metadata=describe("by feed"))
    deliveries = ma.fields.Integer(required=True, metadata=describe("batches that the receiver took"))
    rows = ma.fields.Integer(required=True, metadata=describe("rows in them"))
    errors = ma.fields.Integer(required=True, metadata=describe("deliveries that failed"))
    failures = ma.fields.Integer(required=True, metadata=describe("of these, in a row until now"))
    gaps = ma.fields.Integer(required=True, metadata=describe("how often rows expired before they were sent"))
    tried_at = time_field("last delivery, UTC", null=True)
    succeeded_at = time_field("last one that the receiver took, UTC", null=True)
    failed_at = time_field("last one that failed, UTC", null=True)
    error = ma.fields.String(required=True, allow_none=True, metadata=describe("why it fails; null: it does not"))
    next_try = time_field("not before then, UTC; null: with the next run", null=True)
    test = ma.fields.Nested(OutboundTestSchema, required=True, allow_none=True, metadata=describe("the last test"))


class OutboundTargetSchema(ma.Schema):
    """A target, without its address and secret."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the target"))
    name = ma.fields.String(required=True, metadata=describe(NAME_TEXT))
    kind = ma.fields.Enum(OutboundKind, by_value=True, required=True, metadata=describe("how it is reached"))
    content = ma.fields.Enum(OutboundContent, by_value=True, required=True, metadata=describe("what it gets"))
    resolution = ma.fields.String(required=True, allow_none=True, metadata=describe("of buckets", example="30m"))
    types = ma.fields.List(ma.fields.String(), required=True, metadata=describe("only these data types; empty: all"))
    devices = ma.fields.List(ma.fields.String(), required=True, metadata=describe("only these devices; empty: all"))
    fields_ = ma.fields.List(
        ma.fields.String(), data_key="fields", required=True, metadata=describe("only these fields; empty: all")
    )
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe(ZONE_TEXT))
    topic_prefix = ma.fields.String(required=True, allow_none=True, metadata=describe("of MQTT", example="site/out"))
    retain = ma.fields.Boolean(required=True, metadata=describe("whether the broker retains the messages"))
    enabled = ma.fields.Boolean(required=True, metadata=describe("whether anything is sent"))
    begin_at = time_field("what was written before is not sent, UTC")
    created_at = time_field("when it was made, UTC")
    updated_at = time_field("when it was last changed, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))
    status = ma.fields.Nested(
        OutboundStatusSchema, required=True, allow_none=True, metadata=describe("null: no worker has looked at it yet")
    )


class MadeOutboundTarget(OutboundTargetSchema):
    """A target that was just made, with its signing secret."""

    secret = ma.fields.String(required=True, metadata=describe("signs what is sent; it is never shown again"))


class OutboundTargetPage(PageSchema):
    """A page of targets."""

    results = ma.fields.List(ma.fields.Nested(OutboundTargetSchema), required=True)


class OutboundTargetChange(ma.Schema):
    """Changes of a target; what is left out stays."""

    name = text_field(NAME_TEXT, 120, 1, example="Energy platform")
    address = text_field(ADDRESS_TEXT, MAX_OUTBOUND_ADDRESS_LENGTH, 1, example=EXAMPLE_ADDRESS)
    types = _names("only these data types; empty: all", 64, "meter")
    devices = _names("only these devices; empty: all", 200, "33B1225950027")
    fields_ = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(1, 64)),
        data_key="fields",
        attribute="fields",
        validate=ma.validate.Length(max=MAX_NAMES),
        metadata=describe("only these fields, and only rows that have any; empty: all", example=["zyggl"]),
    )
    zone_id = WholeNumber(
        allow_none=True, validate=ma.validate.Range(1, LARGEST_ID), metadata=describe(ZONE_TEXT, example=None)
    )
    topic_prefix = text_field("of MQTT", 200, 1, allow_none=True)
    retain = ma.fields.Boolean(metadata=describe("whether the broker retains the messages", example=False))
    enabled = ma.fields.Boolean(metadata=describe("whether anything is sent"))


class NewOutboundTarget(OutboundTargetChange):
    """A new target."""

    name = text_field(NAME_TEXT, 120, 1, example="Energy platform", required=True)
    address = text_field(ADDRESS_TEXT, MAX_OUTBOUND_ADDRESS_LENGTH, 1, example=EXAMPLE_ADDRESS, required=True)
    kind = ma.fields.Enum(OutboundKind, by_value=True, required=True, metadata=describe("how it is reached"))
    content = ma.fields.Enum(OutboundContent, by_value=True, required=True, metadata=describe("what it gets"))
    resolution = text_field("of buckets", 16, 1, allow_none=True)
    begin_at = ma.fields.AwareDateTime(
        default_timezone=UTC, metadata=describe("what was written before is not sent; default: now")
    )


NEW_DEFAULTS: Mapping[str, Any] = {
    "types": [],
    "devices": [],
    "fields": [],
    "zone_id": None,
    "topic_prefix": None,
    "resolution": None,
    "retain": False,
    "enabled": True,
}


def present_target(target: OutboundTarget, found: OutboundPositionDocument | None, until: datetime) -> dict[str, Any]:
    """A target as the API shows it. found: its position. until: up to when rows have settled."""
    shown = {name: getattr(target, name) for name in SHOWN_AS_STORED}
    return {**shown, "status": None if found is None else present_status(found, until)}


def present_status(found: OutboundPositionDocument, until: datetime) -> dict[str, Any]:
    """How far a target has been served."""
    feeds = [
        {
            "name": name,
            "position": feed["at"],
            "gap_from": feed.get("gap_from"),
            "gap_until": feed.get("gap_until"),
        }
        for name, feed in sorted(found["feeds"].items())
    ]
    test = found.get("test")
    values: Mapping[str, Any] = found
    return {
        "lag_seconds": lag_of(found, until),
        "feeds": feeds,
        **{name: values[name] for name in COUNTED},
        **{name: values.get(name) for name in NOTED},
        "test": None if test is None else {"done_at": None, "ok": None, "said": None, **test},
    }
