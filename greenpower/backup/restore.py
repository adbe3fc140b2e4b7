"""Restoring a backup: the new data is loaded beside the old data, and both databases switch to it at the end.

In order, with the mark of `greenpower.mongo.processes.mark`:

1. The mark says "loading": no process starts. The MongoDB part is loaded into collections beside the data, the SQL part
   in a transaction that stays open. Interrupted here, the old data is there and nothing else happened.
2. The mark says "switching". From here on processes stay away until a restore has looked at SQL.
3. The SQL transaction, which writes down the id of this restore, is committed. This decides: before
   it the old data is in force, after it the new data, however often the rest is interrupted.
4. The collections of MongoDB are renamed, watermarks last; its documents are migrated; the mark says "done".
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path

from pymongo.database import Database
from pymongo.errors import PyMongoError
from sqlalchemy import Engine

from greenpower.backup.archive import ArchiveError
from greenpower.backup.load_mongo import Prepare, check_documents, filled_collections, stage, switch
from greenpower.backup.load_sql import (
    check_revision,
    drop_switch,
    filled_tables,
    has_switched,
    load_sql,
    sql_transaction,
    write_switch,
)
from greenpower.backup.manifest import MANIFEST_NAME, Manifest, read_manifest
from greenpower.backup.write import Tell, check_backup
from greenpower.mongo.client import Document
from greenpower.mongo.processes.alive import living_processes
from greenpower.mongo.processes.document import RestoreDocument, RestoreState
from greenpower.mongo.processes.identity import this_process
from greenpower.mongo.processes.mark import (
    RestoreLostError,
    begin_mark,
    decide,
    drop_staged,
    end_mark,
    is_dead,
    read_mark,
    renewing,
)
from greenpower.mongo.schema.migrate import migrate

# A server notices after a moment only that a process has gone.
GONE_SECONDS = 3.0
GONE_POLL_SECONDS = 0.2


class Restore:
    """Restores into one pair of databases. prepare: makes the collections with their indexes, with a prefix."""

    def __init__(
        self, mongo: Database[Document], engine: Engine, prepare: Prepare, tell: Tell = lambda name, done, total: None
    ) -> None:
        self._mongo = mongo
        self._engine = engine
        self._prepare = prepare
        self._tell = tell

    def load(self, folder: Path, *, replace: bool = False) -> Manifest:
        """Check a backup, load it, and switch to it. A restore that was interrupted is finished first; where it was of
        this backup, that is all.

        replace: replace what is there; otherwise databases that are not empty are refused. Documents past their
        retention are soon deleted again. Raises ArchiveError, PyMongoError, SQLAlchemyError; then the old data is in
        force, or this or `resume` finishes the restore.
        """
        finished = self.resume()
        manifest = read_manifest(folder)
        if finished is not None:
            if finished["fingerprint"] == _fingerprint(folder):
                return manifest
            raise ArchiveError(
                f"a restore of the backup of {finished['backup_at']:%Y-%m-%d %H:%M} UTC was interrupted and is "
                "finished now: run this again to replace it"
            )
        check_revision(folder, manifest)
        self._refuse_others()
        check_backup(folder, self._tell)
        check_documents(folder, manifest)
        try:
            run = begin_mark(self._mongo, _fingerprint(folder), manifest.created_at)
        except RestoreLostError as error:
            raise ArchiveError(str(error)) from None
        decided = False
        try:
            with renewing(self._mongo, run):
                self._refuse_others()
                self._refuse_data(replace)
                drop_staged(self._mongo)
                names = stage(folder, manifest, self._mongo, self._prepare, self._tell)
                with sql_transaction(self._engine) as connection:
                    load_sql(folder, manifest, connection, self._tell)
                    write_switch(connection, run)
                    decided = True
                    decide(self._mongo, run, names)
                    connection.commit()
                self._finish(run, names)
        except RestoreLostError as error:
            raise ArchiveError(str(error)) from None
        except BaseException:
            if not decided:
                # What cannot be done now, the next process does that starts.
                with suppress(PyMongoError):
                    end_mark(self._mongo, run, RestoreState.LOADING, RestoreState.ABANDONED)
                    drop_staged(self._mongo)
            raise
        return manifest

    def resume(self) -> RestoreDocument | None:
        """Finish a restore that was interrupted after it had decided to switch. One that had not is given up.

        Returns the mark of the restore that was finished, None where there was none. Raises ArchiveError where its
        process lives, PyMongoError, SQLAlchemyError.
        """
        mark = read_mark(self._mongo)
        if mark is None or mark["state"] in (RestoreState.DONE, RestoreState.ABANDONED):
            return None
        if not is_dead(self._mongo, mark):
            raise ArchiveError(f"another restore is running: process {mark['pid']} on {mark['host']}")
        if mark["state"] == RestoreState.SWITCHING:
            # One that hangs has the SQL database's lock until it commits or ends.
            with sql_transaction(self._engine) as connection:
                switched = has_switched(connection, mark["id"])
            if switched:
                mine = this_process().fields()
                if not end_mark(self._mongo, mark["id"], RestoreState.SWITCHING, RestoreState.SWITCHING, **mine):
                    raise ArchiveError("another restore was faster")
                with renewing(self._mongo, mark["id"]):
                    self._finish(mark["id"], mark["collections"])
                return mark
        end_mark(self._mongo, mark["id"], RestoreState(mark["state"]), RestoreState.ABANDONED)
        drop_staged(self._mongo)
        return None

    def _finish(self, run: str, names: list[str]) -> None:
        """What follows from SQL's new data. It can be interrupted and repeated."""
        switch(self._mongo, names)
        migrate(self._mongo)
        self._prepare("")
        with self._engine.begin() as connection:
            drop_switch(connection)
        end_mark(self._mongo, run, RestoreState.SWITCHING, RestoreState.DONE)

    def _refuse_others(self) -> None:
        end = time.monotonic() + GONE_SECONDS
        while living := living_processes(self._mongo):
            if time.monotonic() > end:
                raise ArchiveError(f"these use the database, stop them first: {', '.join(living)}")
            time.sleep(GONE_POLL_SECONDS)

    def _refuse_data(self, replace: bool) -> None:
        with self._engine.connect() as connection:
            there = [*filled_collections(self._mongo), *filled_tables(connection)]
        if there and not replace:
            raise ArchiveError(
                f"the databases are not empty ({', '.join(there[:3])} …): give --replace to replace what is there"
            )


def _fingerprint(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST_NAME).read_bytes()).hexdigest()
