"""`/api/devices/findings/`: what the checks of the wiring found, and what people say of it.

What belongs here: the list, and dismissing. What does not: checking (`greenpower.wiring`, once a day in the worker).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response, abort

from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_ID, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.known import DeviceName
from greenpower.api.http.paging import PageSchema
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.mongo.client import Document
from greenpower.mongo.query import between
from greenpower.mongo.schema.layout import WIRING_FINDINGS
from greenpower.mongo.wiring.document import DISMISSED, FINDING_STATES, OPEN
from greenpower.mongo.wiring.store import find_current, judge_finding
from greenpower.sql import AuditAction, AuditObject, RoleName
from greenpower.sql.audit import AuditedChange

MAX_NOTE_LENGTH = 500
SHOWN_KEYS = (
    "device_id", "circuit", "check", "name", "phases", "certainty", "saw", "figures", "faulty", "samples", "follows",
    "first_seen", "last_seen", "state",
)  # fmt: skip
OPTIONAL_KEYS = ("closed_at", "dismissed_by", "dismissed_at", "note")


class FindingQuery(TimedPageQuery, RangeQuery):
    """Which findings. The time range is of the last day that showed them."""

    device_id = DeviceName("only of this device", WIRING_FINDINGS)
    state = ma.fields.String(
        validate=ma.validate.OneOf(FINDING_STATES),
        metadata=describe("only findings in this state; `closed`: a later day does not show it"),
    )
    name = text_field("only findings of this name, such as `reversed_ct`", 64, 1)


class FindingSchema(ma.Schema):
    """Something that a check of the wiring found."""

    id = ma.fields.String(required=True, metadata=describe("id of the finding", example=EXAMPLE_ID))
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    circuit = ma.fields.String(
        required=True,
        metadata=describe("circuit of the device, or its meter point; empty for a device of one circuit", example=""),
    )
    check = ma.fields.String(required=True, metadata=describe("check that found it", example="reversed_ct"))
    name = ma.fields.String(required=True, metadata=describe("name of the fault", example="reversed_ct"))
    title = ma.fields.String(
        required=True, metadata=describe("the fault in words", example="A current transformer is reversed")
    )
    phases = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("phases that it is about", example=["b"])
    )
    certainty = ma.fields.String(required=True, metadata=describe("`sure`, `likely` or `possible`", example="sure"))
    saw = ma.fields.String(required=True, metadata=describe("what was seen, with figures and units"))
    look = ma.fields.String(required=True, metadata=describe("what to look at on site"))
    figures = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.Float(), required=True,
        metadata=describe("its figures; the name ends with the unit", example={"power_b_kw": -5.74}),
    )  # fmt: skip
    faulty = ma.fields.Integer(required=True, metadata=describe("samples that show it", example=1_392))
    samples = ma.fields.Integer(required=True, metadata=describe("samples that were compared", example=1_440))
    follows = ma.fields.String(
        required=True, metadata=describe("name of the finding that explains this one; empty for a cause", example="")
    )
    first_seen = time_field("end of the first day that showed it, UTC")
    last_seen = time_field("end of the last day that showed it, UTC")
    state = ma.fields.String(required=True, validate=ma.validate.OneOf(FINDING_STATES), metadata=describe("its state"))
    closed_at = time_field("end of the day that no longer showed it, UTC", null=True)
    dismissed_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who said last what it is"))
    dismissed_at = time_field("when, UTC", null=True)
    note = ma.fields.String(required=True, allow_none=True, metadata=describe("what they noted"))


class FindingPage(PageSchema):
    """A page of findings."""

    results = ma.fields.List(ma.fields.Nested(FindingSchema), required=True)


class Dismissal(ma.Schema):
    """What a person says of a finding."""

    note = text_field("why it is as intended, kept with the finding", MAX_NOTE_LENGTH, load_default="")
    undo = ma.fields.Boolean(
        load_default=False, metadata=describe("true: it is not as intended after all, and is open again")
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "findings", __name__, url_prefix="/api/devices/findings", description="Findings of the wiring checks"
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(FindingQuery)
    @blueprint.response(200, FindingPage)
    def list_findings(query: dict[str, Any]) -> Response:
        """List findings of the wiring checks

        Those seen last first. The worker checks the last 24 hours of every device once a day.
        """
        wanted = between("last_seen", query.get("start_time"), query.get("end_time"))
        wanted |= {name: query[name] for name in ("device_id", "state", "name") if name in query}
        return timed_page_answer(query, database()[WIRING_FINDINGS], wanted, present, by="last_seen")

    @blueprint.route("/<string(length=24):finding>/dismiss/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR, in_zones=True)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(Dismissal, location="json")
    @blueprint.response(200, FindingSchema)
    def dismiss_wiring_finding(body: dict[str, Any], finding: str) -> Response:
        """Say that a finding is as intended, or undo that

        A dismissed finding is checked on, and raises nothing until it is closed by a day that does not show it. 404 for
        one that is closed.
        """
        collection = database()[WIRING_FINDINGS]
        found = find_current(collection, ObjectId(finding)) if ObjectId.is_valid(finding) else None
        if found is None:
            abort(404, f"There is no current finding {finding!r}.")
        state = OPEN if body["undo"] else DISMISSED
        change = AuditedChange.begin(
            action=AuditAction.DECIDE,
            object_type=AuditObject.WIRING_FINDING,
            object_name=found["device_id"],
            before={name: found.get(name) for name in ("name", "state", "note")},
            after={"name": found["name"], "state": state, "note": body["note"]},
        )
        judged = judge_finding(
            collection, found["_id"], state, str(current_caller().username), body["note"], datetime.now(UTC),
            unaudited(change),
        )  # fmt: skip
        if judged is None:
            abort(404, f"There is no current finding {finding!r}.")
        finish_change(database(), change, found["_id"])
        return answer(present({**judged}))

    return blueprint


def present(document: Document) -> Document:
    """A finding as the API shows it."""
    # The checks are imported when somebody asks for findings.
    from greenpower.wiring.ask import fault_of

    fault = fault_of(document["name"])
    return {
        "id": str(document["_id"]),
        **{name: document[name] for name in SHOWN_KEYS},
        "title": document["name"] if fault is None else fault.title,
        "look": "" if fault is None else fault.look,
        **{name: document.get(name) for name in OPTIONAL_KEYS},
    }
