"""`/api/corrections/`: what people have corrected, on all devices, and the feed of it. Making and withdrawing one is in
`greenpower.api.energy.device_corrections`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from bson import ObjectId
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.cursor import CursorField, pack
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_ID, EXAMPLE_TYPE, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.known import DeviceName, FieldName, TypeName
from greenpower.api.http.paging import MAX_PAGE_SIZE, PageSchema, link
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.api.http.visible_devices import shown_device
from greenpower.measure.slot import COUNTS_PER_UNIT
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument, CorrectionKind
from greenpower.mongo.corrections.store import overlapping
from greenpower.mongo.rollups.changes import find_changes
from greenpower.mongo.schema.layout import CORRECTIONS
from greenpower.sql import RoleName

KINDS = tuple(kind.value for kind in CorrectionKind)
ACTIVE, REVOKED = "active", "revoked"
STATUSES = (ACTIVE, REVOKED)
TEXT_KEYS = ("type", "device_id", "field", "kind", "begin", "end", "reason", "made_by", "made_at")
OPTIONAL_KEYS = (
    "factor", "method", "other_device", "side", "register", "ended_by", "ended_at", "end_reason", "revoked_by",
    "revoked_at", "revoke_reason",
)  # fmt: skip
ALL_KEYS = dict.fromkeys(CorrectionDocument.__annotations__, 1)
MILLISECOND = timedelta(milliseconds=1)
CHANGES_DESCRIPTION = """Corrections in the order in which people last changed them: made, given an end, or withdrawn.
Start without `after`; then give the `after` of the last answer. While `next` is not null there is more to read now;
otherwise ask again later. A correction that is changed appears again with the same `id`: the later one counts. None is
ever deleted. Corrections appear some time after they were written (`until` says how far this answer goes)."""


class CorrectionFilter(TimedPageQuery, RangeQuery):
    """Which corrections, whatever devices they are of. The range: those in force for a part of it."""

    type = TypeName("only of this data type, by name")
    field = FieldName("only of this field")
    kind = ma.fields.String(validate=ma.validate.OneOf(KINDS), metadata=describe("only of this kind"))
    status = ma.fields.String(
        validate=ma.validate.OneOf(STATUSES), metadata=describe("`active`: in force; `revoked`: withdrawn")
    )


class CorrectionQuery(CorrectionFilter):
    """Which corrections."""

    device_id = DeviceName("only of this device", CORRECTIONS)


class CorrectionChangeQuery(ma.Schema):
    """From where to continue."""

    after = CursorField("the `after` of the last answer", datetime, str)
    page_size = ma.fields.Integer(
        load_default=MAX_PAGE_SIZE, validate=ma.validate.Range(1, MAX_PAGE_SIZE), metadata=describe("rows per page")
    )

    @ma.validates_schema
    def _fitting_position(self, data: dict[str, Any], **_: Any) -> None:
        if (position := data.get("after")) and not ObjectId.is_valid(position[1]):
            raise ma.ValidationError("Not a position from an earlier answer.", "after")


class CorrectionSchema(ma.Schema):
    """What a person put right in one field of a device, from `begin` to before `end`."""

    id = ma.fields.String(required=True, metadata=describe("id of the correction", example=EXAMPLE_ID))
    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    field = ma.fields.String(required=True, metadata=describe("the field", example="zygsz"))
    kind = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(KINDS),
        metadata=describe(
            "`exclusion`: the samples are left out; `factor`: they are multiplied; `fixed`: the energy is `energy`; "
            "`estimate`: the energy of a silence is spread over it; `incident`: a decision on an incident whose "
            "readings are gone; `exchange`: what two meters counted around their exchange",
            example="factor",
        ),
    )
    begin = time_field("from when on, UTC")
    end = time_field("up to before when, UTC; null: no end yet", null=True)
    factor = ma.fields.Float(required=True, allow_none=True, metadata=describe("what samples are multiplied by"))
    energy = ma.fields.Float(required=True, allow_none=True, metadata=describe("energy, in the field's unit"))
    method = ma.fields.String(required=True, allow_none=True, metadata=describe("how an estimate is spread"))
    incident_id = ma.fields.String(required=True, allow_none=True, metadata=describe("the incident that it decides"))
    other_device = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the other device of an exchange")
    )
    side = ma.fields.String(
        required=True, allow_none=True, metadata=describe("`old` or `new`: which meter of an exchange")
    )
    register = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("what this meter showed at the exchange")
    )
    group = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the same for all that were made in one step")
    )
    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("`active`: in force", example=ACTIVE)
    )
    pending = ma.fields.Boolean(
        required=True,
        metadata=describe("whether the rollups are still to be told of it, within a minute"),
    )
    reason = ma.fields.String(required=True, metadata=describe("why it was made"))
    made_by = ma.fields.String(required=True, metadata=describe("who made it", example="admin"))
    made_at = time_field("when it was made, UTC")
    ended_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who gave it an end, later"))
    ended_at = time_field("when it was given that end, UTC", null=True)
    end_reason = ma.fields.String(required=True, allow_none=True, metadata=describe("why it was given that end"))
    revoked_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who withdrew it"))
    revoked_at = time_field("when it was withdrawn, UTC; null: it is in force", null=True)
    revoke_reason = ma.fields.String(required=True, allow_none=True, metadata=describe("why it was withdrawn"))


class CorrectionPage(PageSchema):
    """A page of corrections."""

    results = ma.fields.List(ma.fields.Nested(CorrectionSchema), required=True)


class CorrectionChange(CorrectionSchema):
    """A correction that was made or changed."""

    updated_at = time_field("when it was last changed")


class CorrectionChanges(ma.Schema):
    """A page of the feed."""

    after = ma.fields.String(
        required=True, allow_none=True, metadata=describe("give this as `after` in the next request")
    )
    next = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to more that can be read now"))
    until = time_field("what was changed before this time is included")
    results = ma.fields.List(ma.fields.Nested(CorrectionChange), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("corrections", __name__, url_prefix="/api/corrections", description="Corrections by people")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(CorrectionQuery)
    @blueprint.response(200, CorrectionPage)
    def list_corrections(query: dict[str, Any]) -> Response:
        """List corrections

        Newest begin first; withdrawn ones too.
        """
        return correction_page(query, {name: query[name] for name in ("device_id",) if name in query})

    @blueprint.route("/changes/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Changes: corrections", description=CHANGES_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(CorrectionChangeQuery)
    @blueprint.response(200, CorrectionChanges)
    def list_correction_changes(query: dict[str, Any]) -> Response:
        position = None
        if query.get("after"):
            time, identity = query["after"]
            position = time, ObjectId(identity)
        # Taken before the query, which does not look for younger ones.
        now = datetime.now(UTC)
        until = now.replace(microsecond=0) - timedelta(seconds=get_context().settings.changes_horizon_seconds)
        page = find_changes(database()[CORRECTIONS], position, until, query["page_size"], ALL_KEYS)
        if page.documents:
            position = page.documents[-1]["updated_at"], page.documents[-1]["_id"]
        after = None if position is None else pack(position[0], str(position[1]))
        return answer(
            {
                "after": after,
                "next": link(after=after) if page.more else None,
                "until": until,
                "results": [
                    {**present_correction(document), "updated_at": document["updated_at"]}
                    for document in page.documents
                ],
            }
        )

    return blueprint


def correction_page(query: dict[str, Any], wanted: Document) -> Response:
    """The answer of a list of corrections. wanted: a filter, beside those of the query."""
    wanted = {**wanted, **{name: query[name] for name in ("type", "field", "kind") if name in query}}
    if "status" in query:
        wanted["revoked_at"] = None if query["status"] == ACTIVE else {"$ne": None}
    end = query.get("end_time")
    # The range of a query includes its end.
    wanted |= overlapping(query.get("start_time"), None if end is None else end + MILLISECOND)
    return timed_page_answer(query, database()[CORRECTIONS], wanted, present_correction, by="begin")


def present_correction(document: Mapping[str, Any]) -> Document:
    """A correction as the API shows it."""
    energy = document.get("energy")
    return {
        "id": str(document["_id"]),
        **{name: document[name] for name in TEXT_KEYS},
        **{name: document.get(name) for name in OPTIONAL_KEYS},
        "energy": None if energy is None else energy / COUNTS_PER_UNIT,
        **{name: None if document.get(name) is None else str(document[name]) for name in ("incident_id", "group")},
        "other_device": shown_device(document.get("other_device")),
        "status": ACTIVE if document["revoked_at"] is None else REVOKED,
        "pending": "changed" in document,
    }
