"""`export/`: all rows of a time range as one file, written while it is downloaded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

import marshmallow as ma
from flask import Response, request

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.errors import problem
from greenpower.api.http.fields import device_field
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.export_format import FORMATS, GZIP, MIMETYPES, NDJSON, Writer, columns_of, make_writer
from greenpower.api.telemetry.parameters import fields_field, resolution_field
from greenpower.api.telemetry.resolution import tier_view_named
from greenpower.api.telemetry.row import Present, presenter, row_projection
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.export import stream
from greenpower.mongo.rollups.rows import RowQuery, Rows
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

# Each export occupies a thread of the server; the others are left for short requests.
MAX_EXPORTS = 3
EXPORT_SLOTS = BoundedSemaphore(MAX_EXPORTS)
RETRY_SECONDS = 10
# A reader that takes nothing for this long is disconnected.
STALLED_READER_SECONDS = 30
FILE_SCHEMA: Any = {"type": "string", "format": "binary"}
FILE_RESPONSES = {"200": {"content": {kind: {"schema": FILE_SCHEMA} for kind in (*MIMETYPES.values(), GZIP)}}}
EXPORT_DESCRIPTION = f"""A file of all rows in order of time, sent while it is read: it can have any length. NDJSON has
the rows of the list. CSV and Parquet have the columns device_id, timestamp, topic (for buckets: final), and one per
field: those in `fields`, otherwise all declared ones. At most {MAX_EXPORTS} exports run at once in a server process;
more get 429. An incomplete file can be recognised: the connection breaks, and Parquet lacks its footer."""


class ExportQuery(RangeQuery):
    """Which rows, and how. Each type adds `resolution` and `fields`."""

    format = ma.fields.String(
        load_default=NDJSON, validate=ma.validate.OneOf(FORMATS), metadata=describe("format of the file")
    )
    gzip = ma.fields.Boolean(load_default=False, metadata=describe("compress the file with gzip"))
    device_id = device_field()


class Download:
    """The bytes of a file, as a WSGI server asks for them. `close` ends the query and frees the slot."""

    def __init__(self, batches: Generator[list[Document]], present: Present, writer: Writer) -> None:
        self._batches = batches
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
            EXPORT_SLOTS.release()


def add_export(blueprint: Blueprint, datatype: DataType) -> None:
    """Add the file."""
    own = {"resolution": resolution_field(datatype, RAW), "only": fields_field(datatype)}

    @blueprint.route("/export/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"Export: {datatype.title}", description=EXPORT_DESCRIPTION, responses=FILE_RESPONSES)
    @blueprint.errors(422, 429, 503)
    @blueprint.arguments(type("ExportQuery", (ExportQuery,), own))
    @blueprint.response(200, FILE_SCHEMA, content_type=MIMETYPES[NDJSON])
    def export(query: dict[str, Any]) -> Response:
        name, gzip = query["format"], query["gzip"]
        response = Response(mimetype=GZIP if gzip else MIMETYPES[name])
        suffix = f"{name}.gz" if gzip else name
        response.headers["Content-Disposition"] = f'attachment; filename="{datatype.endpoint}.{suffix}"'
        if request.method == "HEAD":
            return response
        if not EXPORT_SLOTS.acquire(blocking=False):
            message = f"{MAX_EXPORTS} exports are running already. Try again in {RETRY_SECONDS} s."
            return problem(429, message, headers={"Retry-After": str(RETRY_SECONDS)})
        try:
            download = _download(datatype, query)
        except BaseException:
            EXPORT_SLOTS.release()
            raise
        try:
            download.prime()
        except BaseException:
            download.close()
            raise
        _limit_stalling()
        response.response = download
        return response


def _download(datatype: DataType, query: dict[str, Any]) -> Download:
    tier_views = tier_views_of(datatype)
    tier_view = tier_view_named(tier_views, query["resolution"])
    question = RowQuery(
        start=query.get("start_time"), end=query.get("end_time"), devices=query["device_id"], ascending=True
    )
    series = Rows(database(), datatype, tier_views, tier_view, question, datetime.now(UTC))
    writer = make_writer(
        query["format"],
        columns_of(datatype, query["only"]),
        buckets=tier_view.window is not None,
        gzip=query["gzip"],
    )
    batches = stream(series, row_projection(tier_view, query["only"]))
    return Download(batches, presenter(tier_view, query["only"]), writer)


def _limit_stalling() -> None:
    """Let writing to a reader that has stopped reading fail, so that it does not occupy the thread for ever."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(STALLED_READER_SECONDS)
