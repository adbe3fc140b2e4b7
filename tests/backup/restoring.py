"""Restores that are killed at a chosen place, and what the databases hold after it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.monitoring import CommandListener, CommandStartedEvent
from sqlalchemy import event

from greenpower.app import sql_context
from greenpower.backup.restore import Restore
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.sql.extensions import db as sql

Document = dict[str, Any]
# Commands to MongoDB that read only: a kill at the next one is the same.
READING = ("hello", "ping", "listCollections", "listIndexes", "find", "aggregate", "getMore", "endSessions")
# Its commands come by the clock: a slow machine has more of them, and the steps would have other numbers.
KEEPING_THE_MARK = "restore-mark"


class Steps(CommandListener):
    """Counts what a restore changes, and is told before each change: commands to MongoDB and the commit of SQL."""

    def __init__(self, at: Callable[[int, str], None]) -> None:
        self.count = 0
        self._at = at

    def step(self, name: str) -> None:
        self.count += 1
        self._at(self.count, name)

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name not in READING and threading.current_thread().name != KEEPING_THE_MARK:
            self.step(event.command_name)

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


def restore(settings: Settings, folder: Path | None, at: Callable[[int, str], None] = lambda count, name: None) -> int:
    """Restore with --replace, or finish what was interrupted, in a database of the core's collections alone.

    at: called before each step, with its number and its name. Returns the number of steps.
    """
    steps = Steps(at)
    client = sync_client(settings, appname="greenpower-restore", event_listeners=[steps])
    with client, sql_context(settings):
        mongo: Database[Document] = client[settings.mongo_db_name]
        event.listen(sql.engine, "commit", lambda connection: steps.step("commit"))
        work = Restore(mongo, sql.engine, lambda prefix: ensure_indexes(mongo, (), settings, prefix=prefix))
        if folder is None:
            work.resume()
        else:
            work.load(folder, replace=True)
    return steps.count


def killed_restore(settings: Settings, folder: Path, place: int) -> None:
    """A restore in a process of its own that is killed before its step `place`."""

    def run() -> None:
        def at(count: int, name: str) -> None:
            if count == place:
                os.kill(os.getpid(), signal.SIGKILL)

        restore(settings, folder, at)

    process = get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, process.exitcode
