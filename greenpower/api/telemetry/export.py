"""`export/`: all rows of a range as one file, written while it is read."""

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
from greenpower.api.http.select import device_field, fields_field, shown
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.export_format import FORMATS, GZIP, MIMETYPES, NDJSON, Writer, columns_of, make_writer
from greenpower.api.telemetry.readings import SHOWN, SHOWN_OF_BUCKETS
from greenpower.api.telemetry.resolution import AUTO, choose_for, named, resolution_field, tier_views_of
from greenpower.api.telemetry.row import Present, presenter
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.export import stream
from greenpower.mongo.rollups.series import Question, Series
from greenpower.mongo.rollups.tier_view import RAW
from greenpower.sql import RoleName

# Each keeps a thread of the server; most are left for quick questions.
AT_ONCE = 3
# A reader that takes nothing for so long is gone.
STALLED_SECONDS = 30
FILE: Any = {"type": "string", "format": "binary"}
FILES = {"200": {"content": {kind: {"schema": FILE} for kind in (*MIMETYPES.values(), GZIP)}}}
SLOTS = BoundedSemaphore(AT_ONCE)
TEXT = f"""A file of all rows in order of time, sent while it is read: it may be of any length. NDJSON has the rows of
the list. CSV and Parquet have the columns device_id, timestamp, topic (of buckets: final), and one a field: those of
`fields`, else all that are declared. At most {AT_ONCE} at once in a server process; more are answered 429. A file that
was cut off shows it: the connection breaks, and Parquet lacks its end."""


class ExportQuery(RangeQuery):
    """Which rows, and how. A type adds `resolution` and `fields`."""

    format = ma.fields.String(
        load_default=NDJSON, validate=ma.validate.OneOf(FORMATS), metadata=describe("format of the file")
    )
    gzip = ma.fields.Boolean(load_default=False, metadata=describe("a gzip file of it"))
    device_id = device_field()


class Download:
    """The bytes of a file, as a WSGI server asks for them. `close` ends the query and gives the slot back."""

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
        """Make the first bytes, so that a query that fails is still answered as an error."""
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
        """End it, whatever happened. Safe to repeat."""
        if self._open:
            self._open = False
            self._bytes.close()
            self._batches.close()
            SLOTS.release()


def add_export(blueprint: Blueprint, datatype: DataType) -> None:
    """The file."""
    own = {"resolution": resolution_field(datatype, RAW), "only": fields_field(datatype)}

    @blueprint.route("/export/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"Export: {datatype.title}", description=TEXT, responses=FILES)
    @blueprint.errors(422, 429, 503)
    @blueprint.arguments(type("ExportQuery", (ExportQuery,), own))
    @blueprint.response(200, FILE, content_type=MIMETYPES[NDJSON])
    def export(query: dict[str, Any]) -> Response:
        name, gzip = query["format"], query["gzip"]
        response = Response(mimetype=GZIP if gzip else MIMETYPES[name])
        suffix = f"{name}.gz" if gzip else name
        response.headers["Content-Disposition"] = f'attachment; filename="{datatype.endpoint}.{suffix}"'
        if request.method == "HEAD":
            return response
        if not SLOTS.acquire(blocking=False):
            return problem(429, f"There are {AT_ONCE} exports under way already.", headers={"Retry-After": "10"})
        try:
            download = _download(datatype, query)
        except BaseException:
            SLOTS.release()
            raise
        try:
            download.prime()
        except BaseException:
            download.close()
            raise
        _limit_patience()
        response.response = download
        return response


def _download(datatype: DataType, query: dict[str, Any]) -> Download:
    tier_views = tier_views_of(datatype)
    start, end, devices = query.get("start_time"), query.get("end_time"), query["device_id"]
    if query["resolution"] == AUTO:
        tier_view = choose_for(datatype, tier_views, start, end, devices)
    else:
        tier_view = named(tier_views, query["resolution"])
    question = Question(start=start, end=end, devices=devices, ascending=True)
    series = Series(database(), datatype, tier_views, tier_view, question, datetime.now(UTC))
    always = SHOWN if tier_view.window is None else SHOWN_OF_BUCKETS
    writer = make_writer(
        query["format"],
        columns_of(datatype, query["only"]),
        buckets=tier_view.window is not None,
        gzip=query["gzip"],
    )
    batches = stream(series, shown(query["only"], "payload", always=always))
    return Download(batches, presenter(tier_view, query["only"]), writer)


def _limit_patience() -> None:
    """Let writing to a reader that has stopped reading fail, instead of keeping the thread for ever."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(STALLED_SECONDS)
