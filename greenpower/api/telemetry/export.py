"""`export/`: all rows of a time range as one file, written while it is downloaded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response, request

from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import problem
from greenpower.api.http.known import device_field
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.export_format import (
    CSV,
    FORMATS,
    GZIP,
    MAX_WIDE_FIELDS,
    MIMETYPES,
    NDJSON,
    SHAPES,
    Writer,
    columns_of,
    make_writer,
)
from greenpower.api.telemetry.export_slots import EXPORT_SLOTS, MAX_EXPORTS, MAX_EXPORTS_PER_CALLER
from greenpower.api.telemetry.parameters import fields_field, resolution_field
from greenpower.api.telemetry.resolution import open_end, tier_view_named
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.export import stream
from greenpower.mongo.rollups.named_corrections import naming
from greenpower.mongo.rollups.present import Present, presenter, row_projection
from greenpower.mongo.rollups.rows import RowQuery, Rows
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

RETRY_SECONDS = 10
FILE_SCHEMA: Any = {"type": "string", "format": "binary"}
FILE_RESPONSES = {
    "200": {
        "description": "the file",
        "content": {kind: {"schema": FILE_SCHEMA} for kind in (*MIMETYPES.values(), GZIP)},
    }
}
EXPORT_DESCRIPTION = f"""A file of all rows in order of time, sent while it is read: it can have any length. NDJSON
has the rows of the list. CSV and Parquet have the columns device_id, timestamp, topic (for buckets: final), and one
per field: those in `fields`, otherwise all declared ones. CSV names the unit behind the field, `volts [V]`; Parquet has
it in the metadata of the column. Of a type with more than {MAX_WIDE_FIELDS} declared fields, or none, CSV is narrow
unless `fields` are given: the columns timestamp, device_id, field, value, unit, and for buckets final, with a line per
value, undeclared ones included. A text that a spreadsheet would run as a formula has an apostrophe before it.

With `corrections=true` a last column has the ids of corrections that a row lies in, in CSV separated by spaces; NDJSON
has them as the list does. Without `end_time` the file ends with the newest row that there is when it begins. At most
{MAX_EXPORTS} exports run at once in a server process, {MAX_EXPORTS_PER_CALLER} of them of one caller; more get 429. An
incomplete file can be recognised: the connection breaks, and Parquet lacks its footer. It cannot be resumed in the
middle: a `Range` is answered with the whole file."""


class ExportQuery(RangeQuery):
    """Which rows, and how. Each type adds `resolution` and `fields`."""

    format = ma.fields.String(
        load_default=NDJSON, validate=ma.validate.OneOf(FORMATS), metadata=describe("format of the file")
    )
    gzip = ma.fields.Boolean(load_default=False, metadata=describe("compress the file with gzip"))
    corrections = ma.fields.Boolean(
        load_default=False, metadata=describe("CSV and Parquet: a last column with the ids of corrections of the row")
    )
    shape = ma.fields.String(
        validate=ma.validate.OneOf(SHAPES),
        metadata=describe(
            "CSV: a line per row (wide) or per value (narrow); default: wide with `fields`, or for a type of at most "
            f"{MAX_WIDE_FIELDS} fields"
        ),
    )
    units = ma.fields.Boolean(load_default=True, metadata=describe("CSV: tell the units"))
    device_id = device_field()

    @ma.validates_schema
    def _fitting_shape(self, data: dict[str, Any], **_: Any) -> None:
        if "shape" in data and data["format"] != CSV:
            raise ma.ValidationError("Only CSV has a shape: give format=csv.", "shape")


class Download:
    """The bytes of a file, as a WSGI server asks for them. `close` ends the query and frees the slot."""

    def __init__(self, batches: Generator[list[Document]], present: Present, writer: Writer, caller: str) -> None:
        self._batches = batches
        self._caller = caller
        self._bytes = self._make(present, writer)
        self._first: bytes | None = None
        self._open = True

    def _make(self, present: Present, writer: Writer) -> Generator[bytes]:
        for batch in self._batches:
            if made := writer.write([present(document) for document in batch]):
                yield made
        if made := writer.finish():
            yield made

    def prime(self) -> None:
        """Make the first bytes, so that a failing query is still answered with an error."""
        self._first = next(self._bytes, None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return next(self._bytes)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the query and free the slot. Can be called again."""
        if self._open:
            self._open = False
            self._bytes.close()
            self._batches.close()
            EXPORT_SLOTS.release(self._caller)


def add_export(blueprint: Blueprint, datatype: DataType) -> None:
    """Add the file."""
    own = {"resolution": resolution_field(datatype, RAW), "only": fields_field(datatype)}

    @blueprint.route("/export/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary=f"Export: {datatype.title}", description=EXPORT_DESCRIPTION, responses=FILE_RESPONSES)
    @blueprint.errors(422, 429, 503)
    @blueprint.arguments(type("ExportQuery", (ExportQuery,), own))
    @blueprint.response(200, FILE_SCHEMA, content_type=MIMETYPES[NDJSON])
    def export(query: dict[str, Any]) -> Response:
        name, gzip = query["format"], query["gzip"]
        response = Response(mimetype=GZIP if gzip else MIMETYPES[name])
        suffix = f"{name}.gz" if gzip else name
        response.headers["Content-Disposition"] = f'attachment; filename="{datatype.endpoint}.{suffix}"'
        # No length is known before the end. With `none` no client tries to resume a broken download.
        response.headers["Accept-Ranges"] = "none"
        if request.method == "HEAD":
            response.response = iter(())
            return response
        caller = current_caller().username
        if not EXPORT_SLOTS.acquire(caller):
            message = f"Enough exports are running already. Try again in {RETRY_SECONDS} s."
            return problem(429, message, headers={"Retry-After": str(RETRY_SECONDS)})
        try:
            download = _download(datatype, query, caller)
        except BaseException:
            EXPORT_SLOTS.release(caller)
            raise
        try:
            download.prime()
        except BaseException:
            download.close()
            raise
        response.response = download
        return response


def _download(datatype: DataType, query: dict[str, Any], caller: str) -> Download:
    tier_views = tier_views_of(datatype)
    tier_view = tier_view_named(tier_views, query["resolution"])
    now, devices = datetime.now(UTC), query["device_id"]
    # A file has an end, however fast rows arrive while it is read.
    end = query.get("end_time") or open_end(database(), tier_views, tier_view, devices, now)
    question = RowQuery(start=query.get("start_time"), end=end, devices=devices, ascending=True)
    zone = get_context().settings.device_zone
    series = Rows(database(), datatype, tier_views, tier_view, question, now, zone=zone)
    columns = columns_of(
        datatype,
        query["only"],
        buckets=tier_view.window is not None,
        corrections=query["corrections"],
        shape=query.get("shape"),
        with_units=query["units"],
    )
    writer = make_writer(query["format"], columns, gzip=query["gzip"])
    present = naming(
        presenter(tier_view, query["only"]),
        database(),
        datatype.name,
        tier_view,
        names=query["only"],
        devices=devices,
        start=question.start,
        end=question.end,
    )
    batches = stream(series, row_projection(tier_view, query["only"]))
    return Download(batches, present, writer, caller)
