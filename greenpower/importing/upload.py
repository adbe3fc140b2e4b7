"""Importing what was uploaded: one file after the other, oldest first, each in the name of who sent it.

What belongs here: the run of an upload, its progress, and waking the worker. What does not: the import itself (`run`),
the documents (`greenpower.mongo.imports.uploads`).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from pymongo.collection import Collection
from redis import Redis, RedisError
from sqlalchemy.orm import Session

from greenpower.archive.errors import ArchiveFileError
from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.importing.audit import note_import
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.mapping import make_mapping, read_mapping
from greenpower.importing.run import OpenedFile, open_file, run_import
from greenpower.importing.tally import Tally
from greenpower.mongo.client import Document
from greenpower.mongo.imports.uploads import claim_upload, finish_upload, note_progress, put_back
from greenpower.sql.actor import Actor, ActorKind, acting

log = logging.getLogger(__name__)

UPLOAD_QUEUE, UPLOAD_JOB = "greenpower", "greenpower.jobs.imports.work"
UPLOAD_JOB_SECONDS = 3_600
WAKE_SECONDS = 2.0
#: what a file may become when it is unpacked
MAX_UPLOAD_UNPACKED_BYTES = 512 * 1024 * 1024
UPLOADED = "(upload)"


class UploadTakenError(Exception):
    """Another run has taken over: this one was thought to be dead."""


def open_upload(data: bytes, datatype: DataType, query: dict[str, Any], *, max_bytes: int) -> OpenedFile:
    """A file that was sent, its header read. query: as of the API. Raises ImportFileError."""
    mapping = read_mapping(query["map"]) if "map" in query else make_mapping({})
    given = {"device_id": query.get("device_id"), "timezone": query.get("timezone")}
    mapping = mapping.changed(**given, ignore_unknown=True if query.get("ignore_unknown") else None)
    return open_file(io.BytesIO(data), datatype, mapping, query.get("format"), max_bytes=max_bytes)


def import_uploads(
    session: Session,
    uploads: Collection[Document],
    registry: Registry,
    settings: Settings,
    may_continue: Callable[[], bool] = lambda: True,
) -> int:
    """Import all files that wait. Returns how many were begun.

    Raises PyMongoError, SQLAlchemyError; the file under way is then taken again.
    """
    begun = 0
    while may_continue() and (upload := claim_upload(uploads, datetime.now(UTC))) is not None:
        begun += 1
        try:
            _import(session, uploads, upload, registry.get(upload["type"]), settings)
        except UploadTakenError:
            log.warning("import %s: another run has taken over", upload["_id"])
        except BaseException:
            put_back(uploads, upload)
            raise
    return begun


def _import(
    session: Session,
    uploads: Collection[Document],
    upload: Document,
    datatype: DataType | None,
    settings: Settings,
) -> None:
    tally, query = Tally(), upload["query"]
    by = Actor(kind=ActorKind(upload["by"]["kind"]), name=upload["by"]["name"], address=upload["by"].get("address"))
    try:
        if datatype is None:
            raise ImportFileError(f"there is no data type {upload['type']}")
        opened = open_upload(upload["data"], datatype, query, max_bytes=MAX_UPLOAD_UNPACKED_BYTES)
        devices = ImportDevices(session, settings, datatype.name, registers=query["new_devices"], by=by.name)
        for here in run_import(opened, datatype, settings, devices, dry_run=query["dry_run"]):
            tally = here
            if not note_progress(uploads, upload, tally.document(), datetime.now(UTC)):
                raise UploadTakenError
    except (ImportFileError, ArchiveFileError) as error:
        finish_upload(uploads, upload, datetime.now(UTC), None, str(error))
        return
    if not query["dry_run"]:
        with acting(by):
            note_import(session, datatype.name, UPLOADED, opened.form, tally)
    finish_upload(uploads, upload, datetime.now(UTC), tally.document())
    log.info("import %s: %d rows, %d stored", upload["_id"], tally.rows, tally.stored)


def wake_upload_worker(url: str) -> None:
    """Let the worker look at uploads now instead of at its next turn. Never fails."""
    if not url:
        return
    timeouts = {"socket_timeout": WAKE_SECONDS, "socket_connect_timeout": WAKE_SECONDS}
    try:
        with closing(Redis.from_url(url, **timeouts)) as redis:
            JsonQueue(UPLOAD_QUEUE, connection=redis).enqueue_call(
                UPLOAD_JOB, timeout=UPLOAD_JOB_SECONDS, ttl=UPLOAD_JOB_SECONDS, result_ttl=0
            )
    except RedisError as error:
        log.warning("an upload waits for the worker's next turn: %.200s", error)
