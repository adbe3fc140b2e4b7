"""`/api/incidents/`: resets, jumps, swaps and other incidents of all counters, as the rollups found them. Those of one
device, and decisions about them, are in `greenpower.api.energy.device_incidents`."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import pymongo
from flask import Response
from pymongo import DESCENDING

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_TYPE, time_field
from greenpower.api.http.paging import PageQuery, PageSchema, page_answer, skipped
from greenpower.api.http.time_range import RangeQuery
from greenpower.mongo.client import Document
from greenpower.mongo.query import COUNTED_AT_MOST, QUERY_SECONDS, Page, between
from greenpower.mongo.rollups.incidents import CONFIRMED, NOTED, OPEN, REJECTED
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import RoleName

STATUSES = (NOTED, OPEN, CONFIRMED, REJECTED)
NUMBER_KEYS = ("value", "before", "correction")


class IncidentQuery(PageQuery, RangeQuery):
    """Which incidents."""

    type = ma.fields.String(validate=ma.validate.Length(1, 64), metadata=describe("only of this data type, by name"))
    device_id = ma.fields.String(validate=ma.validate.Length(1, 64), metadata=describe("only of this device"))
    status = ma.fields.String(
        validate=ma.validate.OneOf(STATUSES),
        metadata=describe("only incidents with this status; `open`: not decided yet"),
    )


class IncidentSchema(ma.Schema):
    """Something that happened to a counter."""

    id = ma.fields.String(required=True, metadata=describe("id of the incident"))
    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    field = ma.fields.String(required=True, metadata=describe("field of the counter", example="zygsz"))
    incident = ma.fields.String(required=True, metadata=describe("kind of incident", example="reset"))
    at = time_field("when it happened, UTC")
    value = ma.fields.Float(required=True, allow_none=True, metadata=describe("value of the register then"))
    before = ma.fields.Float(required=True, allow_none=True, metadata=describe("value of the register before"))
    correction = ma.fields.Float(required=True, allow_none=True, metadata=describe("amount added to the energy"))
    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("decision of an operator, if any")
    )


class IncidentPage(PageSchema):
    """A page of incidents."""

    results = ma.fields.List(ma.fields.Nested(IncidentSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("incidents", __name__, url_prefix="/api/incidents", description="Incidents of counters")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(422, 503)
    @blueprint.arguments(IncidentQuery)
    @blueprint.response(200, IncidentPage)
    def list_incidents(query: dict[str, Any]) -> Response:
        """List incidents of counters

        Newest first; incidents that no longer apply are left out.
        """
        wanted: Document = {name: query[name] for name in ("type", "device_id", "status") if name in query}
        return incident_page(query, wanted)

    return blueprint


def incident_page(query: dict[str, Any], wanted: Document) -> Response:
    """The answer of a list of incidents. wanted: a filter, beside the time range and the page of the query."""
    wanted = {**wanted, "current": True, **between("at", query.get("start_time"), query.get("end_time"))}
    collection, size = database()[INCIDENTS], query["page_size"]
    with pymongo.timeout(QUERY_SECONDS):
        found = list(collection.find(wanted).sort("at", DESCENDING).skip(skipped(query)).limit(size + 1))
        count = collection.count_documents(wanted, limit=COUNTED_AT_MOST)
    page = Page(documents=found[:size], more=len(found) > size)
    return page_answer(query, page, count, present)


def present(document: Document) -> Document:
    """An incident as the API shows it."""
    text = {name: document[name] for name in ("type", "device_id", "field", "at", "status")}
    numbers = {name: document.get(name) for name in NUMBER_KEYS}
    kind = "swap" if document["swap"] else str(document["incident"])
    return {"id": str(document["_id"]), **text, "incident": kind, **numbers}
