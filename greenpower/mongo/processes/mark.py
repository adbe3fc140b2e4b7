"""The mark of a restore: one document that says how far it is. Every process reads it and keeps away meanwhile.

Every change of the state names the run and the state before in its filter. So of a restore that wants to switch and a
process that wants to start because the restore seems dead, one gets its way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from greenpower.config import ConfigError
from greenpower.mongo.client import Document
from greenpower.mongo.processes.document import RestoreDocument, RestoreState
from greenpower.mongo.processes.identity import is_there, this_process
from greenpower.mongo.schema.compression import make_compressed
from greenpower.mongo.schema.layout import RESTORES, STAGED

log = logging.getLogger(__name__)

MARK_ID = "restore"
MARK_SECONDS = 30.0
ACTIVE = (RestoreState.LOADING, RestoreState.SWITCHING)
_UNTIL = {"$add": ["$$NOW", int(MARK_SECONDS * 1000)]}


class RestoreLostError(Exception):
    """Another process has taken the mark of this restore away. The text is one line."""


def read_mark(db: Database[Document]) -> RestoreDocument | None:
    """The mark of the last restore. Raises PyMongoError."""
    return cast("RestoreDocument | None", db[RESTORES].find_one({"_id": MARK_ID}))


def last_restore(db: Database[Document]) -> str:
    """The id of the last restore that was finished or is under way, empty where there is none. Raises PyMongoError."""
    found = read_mark(db)
    return "" if found is None or found["state"] == RestoreState.ABANDONED else found["id"]


def refuse_while_restoring(db: Database[Document]) -> None:
    """Raise ConfigError while a restore is under way, or was interrupted after it decided to switch.

    A restore that has died before that has changed nothing: its mark is taken away. Raises PyMongoError.
    """
    while (mark := read_mark(db)) is not None and mark["state"] in ACTIVE:
        when = f"a restore of the backup of {mark['backup_at']:%Y-%m-%d %H:%M} UTC"
        if mark["state"] == RestoreState.SWITCHING and is_dead(db, mark):
            raise ConfigError(
                f"{when} was interrupted while it replaced the data of {db.name}: run `greenpower restore --resume`"
            )
        if mark["state"] == RestoreState.SWITCHING or not is_dead(db, mark):
            raise ConfigError(
                f"{when} into {db.name} is running (process {mark['pid']} on {mark['host']}): "
                "start again when it is done"
            )
        if end_mark(db, mark["id"], RestoreState.LOADING, RestoreState.ABANDONED):
            log.warning("%s was interrupted before it changed anything: the data is that of before", when)
            drop_staged(db)


def is_dead(db: Database[Document], mark: RestoreDocument) -> bool:
    """Whether the process of a restore is gone, or has not renewed the mark in time. Raises PyMongoError."""
    there = is_there(mark)
    if there is not None:
        return not there
    late = {"_id": MARK_ID, "id": mark["id"], "$expr": {"$lt": ["$until", "$$NOW"]}}
    return db[RESTORES].find_one(late, {"_id": 1}) is not None


def begin_mark(db: Database[Document], fingerprint: str, backup_at: datetime) -> str:
    """Write the mark of a restore that begins to load. Returns the id of the run.

    Raises RestoreLostError where another one is under way, PyMongoError.
    """
    run = uuid4().hex
    values = {
        "id": run,
        "state": RestoreState.LOADING,
        **this_process().fields(),
        "fingerprint": fingerprint,
        "backup_at": backup_at,
        "collections": [],
    }
    literal = {name: {"$literal": value} for name, value in values.items()}
    inactive = {"_id": MARK_ID, "state": {"$nin": list(ACTIVE)}}
    change = [{"$set": {**literal, "until": _UNTIL, "began_at": "$$NOW", "updated_at": "$$NOW"}}]
    make_compressed(db, RESTORES)
    try:
        db[RESTORES].update_one(inactive, change, upsert=True)
    except DuplicateKeyError:
        raise RestoreLostError("another restore is under way") from None
    return run


def end_mark(db: Database[Document], run: str, before: RestoreState, after: RestoreState, **values: Any) -> bool:
    """Go from one state to another. False where the mark is of another run or in another state.

    Raises PyMongoError.
    """
    change = {
        "$set": {"state": {"$literal": after}, "updated_at": "$$NOW", "until": _UNTIL}
        | {name: {"$literal": value} for name, value in values.items()}
    }
    return bool(db[RESTORES].update_one({"_id": MARK_ID, "id": run, "state": before}, [change]).matched_count)


def decide(db: Database[Document], run: str, collections: Sequence[str]) -> None:
    """Go from loading to switching. From here on no process starts until SQL has been asked. Raises RestoreLostError
    where another process has taken the mark away, PyMongoError.
    """
    if not end_mark(db, run, RestoreState.LOADING, RestoreState.SWITCHING, collections=list(collections)):
        raise RestoreLostError("the restore took so long to answer that others took it for dead: start it again")


def drop_staged(db: Database[Document]) -> None:
    """Drop what a restore has loaded and not switched to. Raises PyMongoError."""
    for name in db.list_collection_names(filter={"name": {"$regex": f"^{STAGED}"}}):
        db.drop_collection(name)


@contextmanager
def renewing(db: Database[Document], run: str) -> Iterator[None]:
    """Within it, a thread keeps the mark from growing old."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(MARK_SECONDS / 5):
            with suppress(PyMongoError):
                db[RESTORES].update_one({"_id": MARK_ID, "id": run}, [{"$set": {"until": _UNTIL}}])

    thread = threading.Thread(target=renew, name="restore-mark", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
