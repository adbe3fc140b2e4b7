"""`/api/incidents/`: resets, jumps, swaps and other incidents of all counters, as the rollups found them. Those of one
device, and decisions about them, are in `greenpower.api.energy.device_incidents`."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_TYPE, time_field
from greenpower.api.http.known import DeviceName, TypeName
from greenpower.api.http.paging import PageSchema
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.mongo.client import Document
from greenpower.mongo.query import between
from greenpower.mongo.rollups.decisions import KINDS, kind_of
from greenpower.mongo.rollups.incidents import CONFIRMED, NOTED, OPEN, REJECTED
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import RoleName

STATUSES = (NOTED, OPEN, CONFIRMED, REJECTED)
TEXT_KEYS = ("type", "device_id", "field", "at", "status")
OPTIONAL_KEYS = ("value", "before", "correction", "until", "settled", "decided_by", "decided_at", "reason")


class IncidentFilter(TimedPageQuery, RangeQuery):
    """Which incidents, whatever counters they are of."""

    status = ma.fields.String(
        validate=ma.validate.OneOf(STATUSES),
        metadata=describe("only incidents with this status; `open`: not decided yet"),
    )
    incident = ma.fields.String(validate=ma.validate.OneOf(KINDS), metadata=describe("only incidents of this kind"))


class IncidentQuery(IncidentFilter):
    """Which incidents."""

    type = TypeName("only of this data type, by name")
    device_id = DeviceName("only of this device", INCIDENTS)


class IncidentSchema(ma.Schema):
    """Something that happened to a counter."""

    id = ma.fields.String(required=True, metadata=describe("id of the incident"))
    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    field = ma.fields.String(required=True, metadata=describe("field of the counter", example="zygsz"))
    incident = ma.fields.String(
        required=True, validate=ma.validate.OneOf(KINDS), metadata=describe("kind of incident", example="reset")
    )
    at = time_field("when it happened, UTC")
    until = time_field("when the fall or change of unit that began then was over, UTC; null: not yet", null=True)
    value = ma.fields.Float(required=True, allow_none=True, metadata=describe("value of the register then"))
    before = ma.fields.Float(required=True, allow_none=True, metadata=describe("value of the register before"))
    correction = ma.fields.Float(required=True, allow_none=True, metadata=describe("amount added to the energy"))
    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("decision of an operator, if any")
    )
    settled = ma.fields.Boolean(
        required=True,
        allow_none=True,
        metadata=describe("whether later readings can no longer change what it is; null: not known"),
    )
    decided_by = ma.fields.String(
        required=True, allow_none=True, metadata=describe("user of the last decision", example="admin")
    )
    decided_at = time_field("time of the last decision, UTC", null=True)
    reason = ma.fields.String(required=True, allow_none=True, metadata=describe("reason given for the last decision"))
    exchange_id = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe("id of the meter exchange that it is a part of, and is decided with; null: none"),
    )


class IncidentPage(PageSchema):
    """A page of incidents."""

    results = ma.fields.List(ma.fields.Nested(IncidentSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("incidents", __name__, url_prefix="/api/incidents", description="Incidents of counters")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(IncidentQuery)
    @blueprint.response(200, IncidentPage)
    def list_incidents(query: dict[str, Any]) -> Response:
        """List incidents of counters

        Newest first; incidents that no longer apply are left out.
        """
        return incident_page(query, {name: query[name] for name in ("type", "device_id") if name in query})

    return blueprint


def incident_page(query: dict[str, Any], wanted: Document) -> Response:
    """The answer of a list of incidents. wanted: a filter, beside the time range and the page of the query."""
    wanted = {**wanted, "current": True, **between("at", query.get("start_time"), query.get("end_time"))}
    wanted |= {name: query[name] for name in ("status", "incident") if name in query}
    return timed_page_answer(query, database()[INCIDENTS], wanted, present, by="at")


def present(document: Document) -> Document:
    """An incident as the API shows it."""
    texts = {name: document[name] for name in TEXT_KEYS}
    others = {name: document.get(name) for name in OPTIONAL_KEYS}
    exchange = document.get("exchange_id")
    others["exchange_id"] = None if exchange is None else str(exchange)
    return {"id": str(document["_id"]), **texts, "incident": kind_of(document).value, **others}
