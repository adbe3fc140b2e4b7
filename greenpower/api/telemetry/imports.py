"""`/api/telemetry/import/`: readings of a small file, stored before the answer.

What belongs here: parameters, bounds, the answer. What does not: the import itself (`greenpower.importing`), files of
any length (`greenpower import`). docs/decisions/0033 says why the answer waits.
"""

from __future__ import annotations

import io
from threading import BoundedSemaphore
from typing import Any

import marshmallow as ma
from flask import Response, request

from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_query, problem
from greenpower.api.http.json import answer
from greenpower.datatype import DataType
from greenpower.importing.audit import note_import
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.mapping import make_mapping, read_mapping
from greenpower.importing.run import OpenedFile, open_file, run_import
from greenpower.importing.source_file import FILE_FORMATS
from greenpower.importing.tally import Tally
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

# Of a process's threads. Two at once would only slow each other down.
MAX_IMPORTS_AT_ONCE = 1
IMPORT_RETRY_SECONDS = 5
# What a body of 64 KiB may become; some seconds of work.
MAX_UNPACKED_BYTES = 2 * 1024 * 1024
MAX_MAP_CHARACTERS = 4_000
IMPORT_FILE: dict[str, Any] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}
IMPORT_DESCRIPTION = f"""The body is the file: CSV, NDJSON or Parquet, the first two also compressed with gzip; at most
64 KiB, and {MAX_UNPACKED_BYTES // 1024} KiB once unpacked. Send a longer one in parts, each with the header, or use
`greenpower import` on the server. The answer comes when all of it is stored: rows are stored, duplicates or refused,
and `problems` names the first ones by line and column. What is sent again is a duplicate. 422 if the file as a whole,
its header or the mapping cannot be used; nothing is stored then."""
import_slots = BoundedSemaphore(MAX_IMPORTS_AT_ONCE)


class ImportQuery(ma.Schema):
    """What the file is."""

    type = ma.fields.String(required=True, metadata=describe("name of the data type"))
    format = ma.fields.String(
        validate=ma.validate.OneOf(FILE_FORMATS), metadata=describe("format of the file; default: by its content")
    )
    device_id = ma.fields.String(
        validate=ma.validate.Length(1, 64), metadata=describe("the device of all rows, where no column names it")
    )
    timezone = ma.fields.String(metadata=describe("zone of times without an offset", example="Europe/Berlin"))
    map = ma.fields.String(
        validate=ma.validate.Length(max=MAX_MAP_CHARACTERS), metadata=describe("what the columns are, as TOML")
    )
    ignore_unknown = ma.fields.Boolean(
        load_default=False, metadata=describe("skip columns that match no field, instead of answering 422")
    )
    new_devices = ma.fields.Boolean(
        load_default=False, metadata=describe("register unknown devices, confirmed, instead of refusing their rows")
    )
    dry_run = ma.fields.Boolean(load_default=False, metadata=describe("count without storing anything"))


class ImportProblem(ma.Schema):
    """What is wrong with a row, or a value in it."""

    line = ma.fields.Integer(required=True, metadata=describe("line of the file from 1; of Parquet the row", example=2))
    column = ma.fields.String(required=True, metadata=describe("column; empty for the whole row", example="power [W]"))
    reason = ma.fields.String(required=True, metadata=describe("why, as a code", example="not-a-number"))
    detail = ma.fields.String(required=True, metadata=describe("why, as text"))


class ImportAnswer(ma.Schema):
    """What became of the rows. Each is stored, duplicate or refused."""

    dry_run = ma.fields.Boolean(required=True, metadata=describe("whether nothing was stored"))
    lines = ma.fields.Integer(required=True, metadata=describe("lines read", example=3))
    rows = ma.fields.Integer(
        required=True, metadata=describe("rows; of a file with a line per value, readings", example=3)
    )
    stored = ma.fields.Integer(required=True, metadata=describe("rows that added something", example=2))
    duplicate = ma.fields.Integer(required=True, metadata=describe("rows that were stored before", example=0))
    conflicts = ma.fields.Integer(
        required=True, metadata=describe("rows with a value that is stored differently; the first one stays", example=0)
    )
    repeated_hour = ma.fields.Integer(
        required=True, metadata=describe("rows in an hour that the zone repeats, told apart by their order", example=0)
    )
    refused = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.Integer(), required=True, metadata=describe("rows, by reason")
    )
    left_out = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.Integer(), required=True, metadata=describe("values, by reason")
    )
    devices_registered = ma.fields.List(ma.fields.String(), required=True, metadata=describe("new devices"))
    devices_unknown = ma.fields.List(ma.fields.String(), required=True, metadata=describe("devices that are refused"))
    problems = ma.fields.List(ma.fields.Nested(ImportProblem), required=True, metadata=describe("the first ones"))
    error = ma.fields.String(required=True, metadata=describe("where the file breaks off; empty: it does not"))


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("import", __name__, url_prefix="/api/telemetry/import", description="Importing readings")

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.doc(description=IMPORT_DESCRIPTION, requestBody=IMPORT_FILE)
    @blueprint.errors(413, 422, 429, 503)
    @blueprint.arguments(ImportQuery)
    @blueprint.response(200, ImportAnswer)
    def import_file(query: dict[str, Any]) -> Response:
        """Import readings"""
        datatype = get_context().registry.get(query["type"])
        if datatype is None:
            names = ", ".join(item.name for item in get_context().registry)
            abort_query("type", f"Unknown data type; there are {names}.")
        body = request.get_data(cache=False)
        if not import_slots.acquire(blocking=False):
            message = f"An import is running already. Try again in {IMPORT_RETRY_SECONDS} s."
            return problem(429, message, headers={"Retry-After": str(IMPORT_RETRY_SECONDS)})
        try:
            tally = _import(datatype, body, query)
        except ImportFileError as error:
            return problem(422, "The file cannot be imported.", {"file": str(error).splitlines()})
        finally:
            import_slots.release()
        return answer({"dry_run": query["dry_run"], **tally.document()})

    return blueprint


def _import(datatype: DataType, body: bytes, query: dict[str, Any]) -> Tally:
    mapping = read_mapping(query["map"]) if "map" in query else make_mapping({})
    given = {"device_id": query.get("device_id"), "timezone": query.get("timezone")}
    mapping = mapping.changed(**given, ignore_unknown=True if query["ignore_unknown"] else None)
    opened = open_file(io.BytesIO(body), datatype, mapping, query.get("format"), max_bytes=MAX_UNPACKED_BYTES)
    dry_run, caller = query["dry_run"], str(current_caller().username)
    devices = ImportDevices(
        db.session, get_context().settings, datatype.name, registers=query["new_devices"], by=caller
    )
    return _run(opened, datatype, devices, dry_run=dry_run)


def _run(opened: OpenedFile, datatype: DataType, devices: ImportDevices, *, dry_run: bool) -> Tally:
    """Import, and say so in the audit, also where it ends early."""
    tally = Tally()
    try:
        for here in run_import(opened, datatype, get_context().settings, devices, dry_run=dry_run):
            tally = here
    finally:
        if not dry_run:
            note_import(db.session, datatype.name, "(upload)", opened.form, tally)
    return tally
