"""The shapes of imports in the API: what a file is, what became of its rows, how far an upload is."""

from __future__ import annotations

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.importing.source_file import FILE_FORMATS
from greenpower.mongo.imports.uploads import UploadState

MAX_MAP_CHARACTERS = 4_000


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


class UploadAnswer(ma.Schema):
    """A file that the worker imports."""

    id = ma.fields.String(required=True, metadata=describe("of the import"))
    state = ma.fields.Enum(UploadState, by_value=True, required=True, metadata=describe("how far it is"))
    type = ma.fields.String(required=True, metadata=describe("name of the data type"))
    bytes = ma.fields.Integer(required=True, metadata=describe("of the file"))
    created_at = ma.fields.DateTime(required=True, metadata=describe("when it was sent"))
    started_at = ma.fields.DateTime(allow_none=True, metadata=describe("when the newest attempt began"))
    finished_at = ma.fields.DateTime(allow_none=True, metadata=describe("when it ended"))
    attempts = ma.fields.Integer(
        required=True, metadata=describe("how often it was begun: a run that was cut off begins again", example=1)
    )
    counts = ma.fields.Nested(
        ImportAnswer, allow_none=True, metadata=describe("so far, of the newest attempt; null before the first rows")
    )
    error = ma.fields.String(required=True, metadata=describe("why it failed; empty: it did not"))
