"""`/api/telemetry/import/`: readings of a file. Those of a small one are stored before the answer; a larger one is kept
for the worker, and `/api/telemetry/import/<id>/` says how far it is.

What belongs here: parameters, bounds, the answers. What does not: the import itself (`greenpower.importing`), files of
any length (`greenpower import`). docs/decisions/0033 says why it is so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

from flask import Response, request

from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_query, problem
from greenpower.api.http.json import answer
from greenpower.api.http.large_body import MAX_UPLOAD_BYTES
from greenpower.api.telemetry.import_schema import ImportAnswer, ImportQuery, UploadAnswer
from greenpower.datatype import DataType
from greenpower.importing.audit import note_import
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.run import OpenedFile, run_import
from greenpower.importing.tally import Tally
from greenpower.importing.upload import MAX_UPLOAD_UNPACKED_BYTES, UPLOADED, open_upload, wake_upload_worker
from greenpower.mongo.imports.uploads import add_upload, count_open, find_upload
from greenpower.mongo.schema.layout import UPLOADS
from greenpower.sql import RoleName
from greenpower.sql.actor import ActorKind
from greenpower.sql.extensions import db

# Of a process's threads. Two at once would only slow each other down.
MAX_IMPORTS_AT_ONCE = 1
IMPORT_RETRY_SECONDS = 5
# What is stored before the answer, and what it may become; some seconds of work.
MAX_AT_ONCE_BYTES = 64 * 1024
MAX_UNPACKED_BYTES = 2 * 1024 * 1024
# Of files that wait for the worker.
MAX_UPLOADS_WAITING = 10
UPLOAD_RETRY_SECONDS = 60
IMPORT_FILE: dict[str, Any] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}
UPLOAD_MIB, AT_ONCE_KIB, UNPACKED_KIB = MAX_UPLOAD_BYTES >> 20, MAX_AT_ONCE_BYTES >> 10, MAX_UNPACKED_BYTES >> 10
IMPORT_DESCRIPTION = f"""The body is the file: CSV, NDJSON or Parquet, the first two also compressed with gzip; at most
{UPLOAD_MIB} MiB. A longer one is imported with `greenpower import` on the server. A file of at most
{AT_ONCE_KIB} KiB ({UNPACKED_KIB} KiB once unpacked) is stored before the answer, 200: rows are
stored, duplicates or refused, and `problems` names the first ones by line and column. A larger one is answered with 202
and its id, and imported by the worker. What is sent again is a duplicate. 422 if the file as a whole, its header or the
mapping cannot be used; nothing is stored then."""
TOO_LARGE = (
    f"The file has more than {UPLOAD_MIB} MiB. Compress it with gzip, send it in parts, each with "
    "the header, or use `greenpower import` on the server."
)
TIMES = ("created_at", "started_at", "finished_at")
import_slots = BoundedSemaphore(MAX_IMPORTS_AT_ONCE)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("import", __name__, url_prefix="/api/telemetry/import", description="Importing readings")

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.doc(description=IMPORT_DESCRIPTION, requestBody=IMPORT_FILE)
    @blueprint.errors(413, 422, 429, 503)
    @blueprint.arguments(ImportQuery)
    @blueprint.response(200, ImportAnswer)
    @blueprint.alt_response(202, schema=UploadAnswer, description="It waits for the worker")  # type: ignore[untyped-decorator]
    def import_file(query: dict[str, Any]) -> Response:
        """Import readings"""
        datatype = get_context().registry.get(query["type"])
        if datatype is None:
            names = ", ".join(item.name for item in get_context().registry)
            abort_query("type", f"Unknown data type; there are {names}.")
        if (request.content_length or 0) > MAX_UPLOAD_BYTES:
            return problem(413, TOO_LARGE)
        request.max_content_length = MAX_UPLOAD_BYTES
        body = request.get_data(cache=False)
        if len(body) > MAX_AT_ONCE_BYTES:
            return _keep(datatype, body, query)
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

    @blueprint.route("/<string:upload_id>/")
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(200, UploadAnswer)
    def show_import(upload_id: str) -> Response:
        """How far an import is"""
        shown = _shown(upload_id)
        return problem(404) if shown is None else answer(shown)

    return blueprint


def _keep(datatype: DataType, body: bytes, query: dict[str, Any]) -> Response:
    """Keep a file for the worker, if its header can be used."""
    uploads = database()[UPLOADS]
    try:
        open_upload(body, datatype, query, max_bytes=MAX_UPLOAD_UNPACKED_BYTES)
    except ImportFileError as error:
        return problem(422, "The file cannot be imported.", {"file": str(error).splitlines()})
    if count_open(uploads) >= MAX_UPLOADS_WAITING:
        message = f"{MAX_UPLOADS_WAITING} imports are waiting already. Try again later."
        return problem(429, message, headers={"Retry-After": str(UPLOAD_RETRY_SECONDS)})
    by = {"kind": str(ActorKind.USER), "name": str(current_caller().username), "address": request.remote_addr}
    now = datetime.now(UTC)
    upload_id = add_upload(uploads, type_name=datatype.name, query=query, by=by, data=body, now=now)
    wake_upload_worker(get_context().settings.redis_address)
    kept = answer(_shown(upload_id), 202)
    kept.headers["Location"] = f"/api/telemetry/import/{upload_id}/"
    return kept


def _shown(upload_id: str) -> dict[str, Any] | None:
    """An upload as the API shows it; None where there is none."""
    found = find_upload(database()[UPLOADS], upload_id)
    if found is None:
        return None
    times = {name: found[name].isoformat() if name in found else None for name in TIMES}
    counts = found.get("counts")
    return {
        **{name: found[name] for name in ("state", "type", "bytes", "attempts")},
        **times,
        "id": upload_id,
        "counts": None if counts is None else {"dry_run": found["query"]["dry_run"], **counts},
        "error": found.get("error", ""),
    }


def _import(datatype: DataType, body: bytes, query: dict[str, Any]) -> Tally:
    opened = open_upload(body, datatype, query, max_bytes=MAX_UNPACKED_BYTES)
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
            note_import(db.session, datatype.name, UPLOADED, opened.form, tally)
    return tally
