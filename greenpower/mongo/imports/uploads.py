"""Uploads: kept until they are imported, claimed by one run at a time.

What belongs here: every query about them. What does not: importing (`greenpower.importing.upload`).

The file lies in MongoDB, since the API and the worker share no disk. A run that claims a file says every few seconds
that it is at it; after a longer silence another run takes over, and begins again: what is stored is a duplicate then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from pymongo import ASCENDING, ReturnDocument
from pymongo.collection import Collection

from greenpower.mongo.client import Document

#: a run that has said nothing for so long was killed
ABANDONED_AFTER = timedelta(seconds=60)
#: attempts that were cut off, after which a file is given up
MAX_UPLOAD_ATTEMPTS = 5
WITHOUT_FILE = {"data": 0}


class UploadState(StrEnum):
    """How far an upload is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


OPEN_STATES = (UploadState.QUEUED, UploadState.RUNNING)


def add_upload(
    uploads: Collection[Document],
    *,
    type_name: str,
    query: Mapping[str, Any],
    by: Mapping[str, Any],
    data: bytes,
    now: datetime,
) -> str:
    """Keep a file to be imported. Returns its id. Raises PyMongoError."""
    document: Document = {
        "_id": uuid4().hex, "state": UploadState.QUEUED, "type": type_name, "query": dict(query), "by": dict(by),
        "bytes": len(data), "created_at": now, "attempts": 0, "data": data,
    }  # fmt: skip
    uploads.insert_one(document)
    return str(document["_id"])


def count_open(uploads: Collection[Document]) -> int:
    """How many are not imported yet. Raises PyMongoError."""
    return uploads.count_documents({"state": {"$in": [*OPEN_STATES]}})


def find_upload(uploads: Collection[Document], upload_id: str) -> Document | None:
    """An upload without its file. Raises PyMongoError."""
    return uploads.find_one({"_id": upload_id}, WITHOUT_FILE)


def claim_upload(uploads: Collection[Document], now: datetime) -> Document | None:
    """The oldest that waits, or whose run was killed, with its file: it is the caller's now. Raises PyMongoError."""
    abandoned = {"state": UploadState.RUNNING, "seen_at": {"$lt": now - ABANDONED_AFTER}}
    uploads.update_many(
        {**abandoned, "attempts": {"$gte": MAX_UPLOAD_ATTEMPTS}},
        {
            "$set": {"state": UploadState.FAILED, "finished_at": now, "error": "it was cut off too often"},
            "$unset": {"data": 0},
        },
    )
    return uploads.find_one_and_update(
        {"$or": [{"state": UploadState.QUEUED}, abandoned]},
        {"$set": {"state": UploadState.RUNNING, "started_at": now, "seen_at": now}, "$inc": {"attempts": 1}},
        sort=[("created_at", ASCENDING)],
        return_document=ReturnDocument.AFTER,
    )


def note_progress(uploads: Collection[Document], upload: Document, counts: Document, now: datetime) -> bool:
    """Keep how far the run is. Returns whether the upload is still its own. Raises PyMongoError."""
    return bool(uploads.update_one(_own(upload), {"$set": {"counts": counts, "seen_at": now}}).matched_count)


def finish_upload(
    uploads: Collection[Document], upload: Document, now: datetime, counts: Document | None, error: str = ""
) -> bool:
    """Note the end, and let go of the file. Returns whether the upload was still the run's. Raises PyMongoError."""
    state = UploadState.FAILED if error else UploadState.DONE
    values = {"state": state, "finished_at": now, **({} if counts is None else {"counts": counts})}
    if error:
        values["error"] = error
    return bool(uploads.update_one(_own(upload), {"$set": values, "$unset": {"data": 0}}).matched_count)


def put_back(uploads: Collection[Document], upload: Document) -> None:
    """Let another run take it at once: this one could not go on for a reason that is not the file's."""
    uploads.update_one(_own(upload), {"$set": {"state": UploadState.QUEUED}})


def _own(upload: Document) -> Document:
    """An upload, as long as no other run has taken over."""
    return {"_id": upload["_id"], "state": UploadState.RUNNING, "attempts": upload["attempts"]}
