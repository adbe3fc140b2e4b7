"""The database handle of a process that serves requests: one client, made in the process that first needs it.

A client made before a fork breaks in the child, so the client is made by the first query.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock

from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client

# Shorter than in ingest: a request gets an error soon where the database is down.
SELECTION_MS = 2_000


OpenDatabase = Callable[[MongoClient[Document], Settings], Database[Document]]


def check_address(settings: Settings) -> None:
    """Raise ConfigError where no client can use MONGO_DB_URI. Does not connect."""
    sync_client(settings, connect=False).close()


class Mongo:
    """A database handle that can be made before a fork and shared by threads. open_database: what the database is."""

    def __init__(self, settings: Settings, open_database: OpenDatabase | None = None) -> None:
        self._settings = settings
        self._open = open_database
        self._lock = Lock()
        self._client: MongoClient[Document] | None = None
        self._database: Database[Document] | None = None
        self._pid = 0

    @property
    def database(self) -> Database[Document]:
        """The database; connects at the first query."""
        with self._lock:
            if self._client is None or self._database is None or self._pid != os.getpid():
                self._client = sync_client(
                    self._settings,
                    serverSelectionTimeoutMS=SELECTION_MS,
                    connectTimeoutMS=SELECTION_MS,
                    appname="greenpower-api",
                )
                name = self._settings.mongo_db_name
                self._database = self._client[name] if self._open is None else self._open(self._client, self._settings)
                self._pid = os.getpid()
            return self._database

    def close(self) -> None:
        """Close the client of this process, if there is one. The next query makes another."""
        with self._lock:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = self._database = None
