"""Heartbeats: a process that uses the database says so every few seconds, and reads the mark of a restore.

Its thread has a client of its own. A process that is forked from it has neither: who forks says what its children do.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.processes.identity import this_process
from greenpower.mongo.processes.mark import last_restore, refuse_while_restoring
from greenpower.mongo.schema.compression import make_compressed
from greenpower.mongo.schema.layout import PROCESSES

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
# At the start and at the end a database that is away costs no more.
FIRST_BEAT_SECONDS = 2.0
LAST_BEAT_SECONDS = 0.5


@contextmanager
def running(settings: Settings, name: str) -> Iterator[None]:
    """Within it, this process is known as one that uses the database. name: its command.

    Raises ConfigError while a restore is under way. One that begins all the same, because this process was frozen or
    cut off for long, ends it with SIGTERM. Does nothing without MONGO_DB_URI; a MongoDB that is away is reported
    elsewhere.
    """
    if not settings.mongo_db_uri.get_secret_value():
        yield
        return
    heartbeat = ProcessHeartbeat(settings, name)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.stop()


class ProcessHeartbeat:
    """The heartbeat of this process."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._id = uuid4().hex
        self._me = this_process()
        self._restore: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process-heartbeat", daemon=True)

    def start(self) -> None:
        """Send the first one. Raises ConfigError while a restore is under way."""
        try:
            with pymongo.timeout(FIRST_BEAT_SECONDS), sync_client(self._settings) as client:
                db = client[self._settings.mongo_db_name]
                make_compressed(db, PROCESSES)
                try:
                    self.beat(db)
                except ConfigError:
                    db[PROCESSES].delete_one({"_id": self._id})
                    raise
        except PyMongoError as error:
            log.debug("no heartbeat yet: %s", type(error).__name__)
        self._thread.start()

    def beat(self, db: Database[Document]) -> None:
        """Say that this process lives. Raises ConfigError where a restore is under way or was, PyMongoError."""
        fields = {"name": self._name, **self._me.fields()}
        db[PROCESSES].update_one({"_id": self._id}, {"$set": fields, "$currentDate": {"seen_at": True}}, upsert=True)
        refuse_while_restoring(db)
        restore = last_restore(db)
        if self._restore is not None and self._restore != restore:
            raise ConfigError("a restore has replaced the data while this process did not answer")
        self._restore = restore

    def stop(self) -> None:
        """Say that this process has ended. In a process that was forked from it: nothing."""
        if os.getpid() != self._me.pid:
            return
        self._ended.set()
        self._thread.join(LAST_BEAT_SECONDS)
        if self._thread.is_alive():
            return  # the database does not answer; silence tells the same later
        with suppress(PyMongoError), pymongo.timeout(LAST_BEAT_SECONDS), sync_client(self._settings) as client:
            client[self._settings.mongo_db_name][PROCESSES].delete_one({"_id": self._id})

    def _run(self) -> None:
        with sync_client(self._settings) as client:
            db = client[self._settings.mongo_db_name]
            while not self._ended.wait(BEAT_SECONDS):
                try:
                    with pymongo.timeout(BEAT_SECONDS):
                        self.beat(db)
                except PyMongoError as error:
                    log.debug("no heartbeat: %s", type(error).__name__)
                except ConfigError as error:
                    log.critical("this process ends: %s", error)
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
