"""Migrating: one process brings the documents to the newest version, in bounded pieces, while the others wait.

What belongs here: the lock, the order of writes, resuming. What does not: what a step rewrites
(`greenpower.mongo.schema.steps`).

The lock has an expiry by the server's clock and is renewed by a thread, so that a long piece keeps it and a dead owner
loses it. Progress is written under the lock after each piece. A process that takes over begins at the last piece, whose
writes find nothing the second time.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import SCHEMA
from greenpower.mongo.schema.steps import STEPS, UNVERSIONED, Step
from greenpower.mongo.schema.version import SCHEMA_ID, SchemaDocument, adopt, read_schema

log = logging.getLogger(__name__)

LOCK_SECONDS = 30.0
WAIT_SECONDS = 0.5


class MigrationError(Exception):
    """The migration cannot go on in this process. The text is one line."""


class Event(StrEnum):
    """What a migration tells its caller. WAITING: another process is migrating."""

    WAITING = "waiting"
    LOCKED = "locked"
    PIECE = "piece"
    APPLIED = "applied"


# Called with the event, the step's version (0 where there is none) and the documents changed so far.
Tell = Callable[[Event, int, int], None]


def pending_steps(found: SchemaDocument | None, steps: Sequence[Step] = STEPS) -> list[Step]:
    """The steps that a database lacks, in order. found: None for a database without a version, which has data."""
    version = UNVERSIONED if found is None else found["version"]
    return sorted((step for step in steps if step.version > version), key=lambda step: step.version)


def migrate(
    db: Database[Document],
    *,
    steps: Sequence[Step] = STEPS,
    again: bool = False,
    tell: Tell = lambda event, version, changed: None,
    lock_seconds: float = LOCK_SECONDS,
) -> int:
    """Apply the steps that are missing, or wait until another process has. Returns the version then.

    again: run the steps that were applied before once more, for what an older program wrote meanwhile. Raises
    MigrationError where the lock is lost, PyMongoError; running it again goes on where it stopped.
    """
    found = adopt(db, steps)
    waiting = False
    while again or pending_steps(found, steps):
        with _lock(db[SCHEMA], lock_seconds) as lock:
            if lock is not None:
                tell(Event.LOCKED, 0, 0)
                return _apply_all(db, lock, steps, again=again, tell=tell)
        if not waiting:
            waiting = True
            tell(Event.WAITING, 0, 0)
        time.sleep(WAIT_SECONDS)
        found = adopt(db, steps)
    return found["version"]


class Lock:
    """The lock as its owner sees it: every write of progress demands that it is still the owner's."""

    def __init__(self, collection: Collection[Document], owner: str, seconds: float) -> None:
        self.collection = collection
        self.owner = owner
        self.seconds = seconds

    def take(self) -> bool:
        """Take the lock if it is free. Raises PyMongoError."""
        free = {"$lt": [{"$ifNull": ["$lock.until", 0]}, "$$NOW"]}
        mine = {"lock": {"owner": self.owner, "host": platform.node(), "until": self._until()}}
        return bool(self.collection.update_one({"_id": SCHEMA_ID, "$expr": free}, [{"$set": mine}]).matched_count)

    def renew(self) -> bool:
        """Keep it for longer. False where another process has it. Raises PyMongoError."""
        return self._set([{"$set": {"lock.until": self._until()}}])

    def write(self, **values: Any) -> None:
        """Write progress. Raises MigrationError where the lock is lost, PyMongoError."""
        literal = {name: {"$literal": value} for name, value in values.items()}
        if not self._set([{"$set": {**literal, "updated_at": "$$NOW", "lock.until": self._until()}}]):
            raise MigrationError("another process has taken over the migration")

    def release(self) -> None:
        """Let the next one have it. Raises PyMongoError."""
        self._set({"$unset": {"lock": ""}})

    def _set(self, change: Any) -> bool:
        return bool(self.collection.update_one({"_id": SCHEMA_ID, "lock.owner": self.owner}, change).matched_count)

    def _until(self) -> Document:
        return {"$add": ["$$NOW", int(timedelta(seconds=self.seconds) / timedelta(milliseconds=1))]}


@contextmanager
def _lock(collection: Collection[Document], seconds: float) -> Iterator[Lock | None]:
    """The lock, renewed until the block ends; None where another process has it."""
    lock = Lock(collection, uuid4().hex, seconds)
    if not lock.take():
        yield None
        return
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(seconds / 3):
            with suppress(PyMongoError):
                lock.renew()

    thread = threading.Thread(target=renew, name="migration-lock", daemon=True)
    thread.start()
    try:
        yield lock
    finally:
        ended.set()
        thread.join()
        with suppress(PyMongoError):  # it expires
            lock.release()


def _apply_all(db: Database[Document], lock: Lock, steps: Sequence[Step], *, again: bool, tell: Tell) -> int:
    if again:
        for step in sorted(steps, key=lambda step: step.version):
            _apply(db, lock, step, tell)
    while pending := pending_steps(read_schema(db), steps):
        _apply(db, lock, pending[0], tell)
    found = read_schema(db)
    assert found is not None
    return found["version"]


def _apply(db: Database[Document], lock: Lock, step: Step, tell: Tell) -> None:
    """One step, from where it stopped. Each write may be the last that this process makes."""
    found = read_schema(db)
    assert found is not None
    progress = found.get("step")
    if progress is None or progress["version"] != step.version:
        progress = {"version": step.version, "position": None, "changed": 0}
    # Before the first piece: a program that cannot read what comes must not start any more.
    lock.write(step=progress, oldest_reader=max(step.oldest_reader, found["oldest_reader"]))
    log.info("schema version %d: %s", step.version, step.title)
    while True:
        piece = step.rewrite(db, progress["position"])
        changed = progress["changed"] + piece.changed
        progress = {"version": step.version, "position": piece.position, "changed": changed}
        lock.write(step=progress)
        tell(Event.PIECE, step.version, changed)
        if piece.last:
            break
    _finish(db, lock, step, changed)
    tell(Event.APPLIED, step.version, changed)


def _finish(db: Database[Document], lock: Lock, step: Step, changed: int) -> None:
    """Write down that a step is done, in one write. One that was run again keeps the version."""
    done = {"version": step.version, "changed": changed, "at": "$$NOW"}
    change = {
        "version": {"$max": ["$version", step.version]},
        "steps": {"$concatArrays": ["$steps", [done]]},
        "updated_at": "$$NOW",
    }
    mine = {"_id": SCHEMA_ID, "lock.owner": lock.owner}
    if not db[SCHEMA].update_one(mine, [{"$set": change}, {"$unset": "step"}]).matched_count:
        raise MigrationError("another process has taken over the migration")
