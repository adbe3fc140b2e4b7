"""The documents about processes: their heartbeats, and the mark of a restore."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TypedDict


class RestoreState(StrEnum):
    """LOADING: the new data is loaded beside the old data, which is whole. SWITCHING: the new data is complete; SQL
    says whether it has the new data already, and then MongoDB gets it too. DONE. ABANDONED: ended while loading.
    """

    LOADING = "loading"
    SWITCHING = "switching"
    DONE = "done"
    ABANDONED = "abandoned"


class ProcessDocument(TypedDict):
    """A process that uses the database. name: its command. born: its start, seconds since 1970 by its machine's clock.
    seen_at: its last heartbeat, by the server's clock.
    """

    _id: str
    name: str
    host: str
    pid: int
    born: float
    seen_at: datetime


class RestoreDocument(TypedDict):
    """The last restore. id: of this run. host, pid, born: the process that does it. until: by the server's clock; it
    counts as dead after that unless it renews it. fingerprint: of the backup's manifest. collections: what MongoDB has
    after the switch, in the order of the switch; empty while loading.
    """

    _id: str
    id: str
    state: str
    host: str
    pid: int
    born: float
    until: datetime
    fingerprint: str
    backup_at: datetime
    collections: list[str]
    began_at: datetime
    updated_at: datetime
