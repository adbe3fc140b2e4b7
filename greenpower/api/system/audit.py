"""`/api/audit/`: who changed what, for administrators: a list and a file. How entries are written is in
`greenpower.sql.audit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import marshmallow as ma
from flask import Response, request
from sqlalchemy import Engine, Select, func, select

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.fields import EXAMPLE_TIME, text_field, time_field
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.system.audit_file import CSV, NDJSON, audit_file
from greenpower.sql import AuditAction, AuditEntry, AuditObject, RoleName
from greenpower.sql.actor import ActorKind
from greenpower.sql.audit_entry import MAX_NAME_LENGTH
from greenpower.sql.audit_read import AUDIT_COLUMNS, AuditFilter, audit_batches, matching
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

AUDIT_MIMETYPES = {CSV: "text/csv", NDJSON: "application/x-ndjson"}
FILE_SCHEMA: Any = {"type": "string", "format": "binary"}
FILE_RESPONSES = {
    "200": {
        "description": "the file",
        "content": {kind: {"schema": FILE_SCHEMA} for kind in AUDIT_MIMETYPES.values()},
    }
}
EXAMPLE_ENTRY = {
    "id": 1,
    "at": EXAMPLE_TIME,
    "actor_kind": "user",
    "actor": "admin",
    "address": "192.0.2.7",
    "request_id": "5f0c3a7e9b1d4c2f8a6e0b3d5c7f9a1e",
    "action": "change",
    "object_type": "user",
    "object_id": "2",
    "object_name": "ada",
    "before": {"role": "viewer"},
    "after": {"role": "operator"},
}


class AuditFilterQuery(RangeQuery):
    """Which entries."""

    actor = text_field("only changes by this user, key (`key-…`) or console user (`cli:…`)", MAX_NAME_LENGTH, 1)
    action = ma.fields.String(
        validate=ma.validate.OneOf([action.value for action in AuditAction]), metadata=describe("only this action")
    )
    object_type = ma.fields.String(
        validate=ma.validate.OneOf([kind.value for kind in AuditObject]), metadata=describe("only changes of these")
    )
    object_id = text_field("only changes of the object with this id", 64, 1)
    object_name = text_field(
        "only changes of the object with this name; of what belongs to a device, the id that it sends",
        MAX_NAME_LENGTH,
        1,
    )


class AuditEntryQuery(PageQuery, AuditFilterQuery):
    """Which entries, and which page of them."""

    newest = ma.fields.Integer(
        validate=ma.validate.Range(0, LARGEST_ID),
        metadata=describe("the newest entry of page 1; the links have it, so that new entries move no page"),
    )


class AuditExportQuery(AuditFilterQuery):
    """Which entries, and how."""

    format = ma.fields.String(
        load_default=NDJSON, validate=ma.validate.OneOf((NDJSON, CSV)), metadata=describe("format of the file")
    )


class AuditEntrySchema(ma.Schema):
    """A change, and who made it."""

    id = ma.fields.Integer(required=True, metadata=describe("number of the entry; later ones are larger"))
    at = time_field("when it was changed, UTC")
    actor_kind = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf([kind.value for kind in ActorKind]),
        metadata=describe("what acted"),
    )
    actor = ma.fields.String(
        required=True,
        metadata=describe("user name; `key-…`: an API key; `cli:…`: a user of the server's console; `system`"),
    )
    address = ma.fields.String(
        required=True, allow_none=True, metadata=describe("address of the caller; null: not over the network")
    )
    request_id = ma.fields.String(
        required=True, allow_none=True, metadata=describe("`X-Request-ID` of the request, which is also in the log")
    )
    action = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf([action.value for action in AuditAction]),
        metadata=describe("what was done"),
    )
    object_type = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf([kind.value for kind in AuditObject]),
        metadata=describe("what it was done to"),
    )
    object_id = ma.fields.String(required=True, metadata=describe("id of the object"))
    object_name = ma.fields.String(
        required=True,
        metadata=describe("name of the object; of what belongs to a device, the id that the device sends"),
    )
    before = ma.fields.Dict(
        required=True,
        allow_none=True,
        metadata=describe("the values that changed, before; null: there was none. Never a secret"),
    )
    after = ma.fields.Dict(
        required=True, allow_none=True, metadata=describe("the same values after it; null: it is gone")
    )


class AuditEntryPage(PageSchema):
    """A page of the audit."""

    results = ma.fields.List(ma.fields.Nested(AuditEntrySchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("audit", __name__, url_prefix="/api/audit", description="Audit")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AuditEntryQuery)
    @blueprint.response(200, AuditEntryPage, example=example_page(EXAMPLE_ENTRY))
    def list_audit(query: dict[str, Any]) -> Response:
        """List the audit

        Newest first: who changed which user, key, device, zone, correction, incident or meter, or sent which command,
        with the values before and after. Entries are never changed or deleted.
        """
        if "newest" not in query:
            query["newest"] = db.session.scalar(select(func.max(AuditEntry.id))) or 0
        statement = matching(_filter(query)).where(AuditEntry.id <= query["newest"]).order_by(AuditEntry.id.desc())
        return sql_page_answer(query, statement, _present, AuditEntry.id, descending=True, newest=query["newest"])

    @blueprint.route("/export/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.doc(responses=FILE_RESPONSES)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AuditExportQuery)
    @blueprint.response(200, FILE_SCHEMA, content_type=AUDIT_MIMETYPES[NDJSON])
    def export_audit(query: dict[str, Any]) -> Response:
        """Export the audit

        A file of all matching entries, oldest first. In CSV, `before` and `after` are JSON.
        """
        name = query["format"]
        rows = _rows(db.engine, matching(_filter(query)))
        body: Iterator[bytes] = iter(()) if request.method == "HEAD" else audit_file(rows, name)
        response = Response(body, mimetype=AUDIT_MIMETYPES[name])
        response.headers["Accept-Ranges"] = "none"
        response.headers["Content-Disposition"] = f'attachment; filename="audit.{name}"'
        return response

    return blueprint


def _filter(query: dict[str, Any]) -> AuditFilter:
    names = ("actor", "action", "object_type", "object_id", "object_name", "start_time", "end_time")
    return AuditFilter(**{name: query[name] for name in names if name in query})


def _present(entries: list[AuditEntry]) -> list[dict[str, Any]]:
    return [{name: getattr(entry, name) for name in AUDIT_COLUMNS} for entry in entries]


def _rows(engine: Engine, statement: Select[AuditEntry]) -> Iterator[list[dict[str, Any]]]:
    """Batches of rows. The first is read at once, so that a failing query is answered with an error."""
    batches = audit_batches(engine, statement)
    first = next(batches, [])

    def rows() -> Iterator[list[dict[str, Any]]]:
        yield first
        yield from batches

    return rows()
