"""Bringing single archived readings back into MongoDB before something is stored under their keys.

What belongs here: readings that come so late that their month is archived. What does not: whole months
(`greenpower.archive.restore`), what is stored then (`greenpower.mongo.readings.store`).

Such a reading is a duplicate, a conflict, or adds keys: the rule for that needs the one that is there. So the archived
one is inserted as it was, with its `_id`. MongoDB's version counts from then on, and the next run takes it over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pymongo import MongoClient
from pymongo.errors import BulkWriteError

from greenpower.archive.read import ArchiveView
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document, sync_client

# No reading is archived before it is that old, whatever the settings say (`ARCHIVE_AFTER_DAYS`).
NEVER_YOUNGER = timedelta(days=7)

ReadingKey = tuple[str, datetime]


def may_be_archived(time: datetime, now: datetime | None = None) -> bool:
    """Whether a reading is so old that its month may be archived. Costs nothing, so that it is asked of each."""
    return time < (datetime.now(UTC) if now is None else now) - NEVER_YOUNGER


class BringBack:
    """Brings archived readings back. One per process; connects when it is first needed. Blocks: call it in a thread."""

    def __init__(self, settings: Settings, datatypes: Iterable[DataType]) -> None:
        self._settings = settings
        self._types = {datatype.name: datatype for datatype in datatypes}
        self._lock = threading.Lock()
        self._client: MongoClient[Document] | None = None
        self._view: ArchiveView | None = None

    def bring_back(self, type_name: str, keys: Iterable[ReadingKey]) -> int:
        """Insert those of some readings of a type that the archive has and MongoDB has not. Returns how many.

        Raises PyMongoError, ArchiveFileError.
        """
        datatype = self._types[type_name]
        with self._lock:
            client, view = self._connected()
            found = view.contains(datatype, keys)
            if not found:
                return 0
            collection = client[self._settings.mongo_db_name][datatype.collection]
            try:
                return len(collection.insert_many(list(found.values()), ordered=False).inserted_ids)
            except BulkWriteError as error:
                return len(found) - len(read_duplicates(error).duplicates)

    def look_up(self, type_name: str, keys: Iterable[ReadingKey]) -> dict[ReadingKey, Document]:
        """Those of some readings of a type that the archive has. Raises PyMongoError, ArchiveFileError."""
        with self._lock:
            _, view = self._connected()
            return view.contains(self._types[type_name], keys)

    def _connected(self) -> tuple[MongoClient[Document], ArchiveView]:
        if self._client is None or self._view is None:
            self._client = sync_client(self._settings, appname="greenpower-ingest")
            self._view = ArchiveView(self._client[self._settings.mongo_db_name], self._settings)
        return self._client, self._view

    def close(self) -> None:
        """End the connection, if there is one."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = self._view = None
