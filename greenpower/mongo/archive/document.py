"""The shapes of the archive's manifest.

What belongs here: every key, its unit and its writer. What does not: changing it (`greenpower.mongo.archive.manifest`).
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict


class ArchiveKey(TypedDict):
    """The place of a reading in a month's order."""

    device_id: str
    timestamp: datetime


class ArchivedFileDocument(TypedDict):
    """A file of a month. path: below ARCHIVE_URL. first, last: its first and last reading. size: bytes. sha256: of the
    file. digest: sha256 of all its readings as BSON. written_at: when the manifest got it, by the server's clock.
    cleared: whether what it holds was deleted from MongoDB since."""

    path: str
    rows: int
    first: ArchiveKey
    last: ArchiveKey
    size: int
    sha256: str
    digest: str
    written_at: datetime
    cleared: bool


class RetiredFileDocument(TypedDict):
    """A file that newer ones replaced. It is removed some days later, so that a backup of the manifest finds it."""

    path: str
    at: datetime


class ArchiveMonthDocument(TypedDict):
    """A month of a type in `archive_manifest`. Written by archive runs only. _id: `type/YYYY-MM`.

    month: its first instant, UTC. generation: raised by each change of `files`. files: in the order of their readings;
    none overlaps another. pending: paths of files that a run is writing. owner, until: of the run that works on it.
    """

    _id: str
    type: str
    month: datetime
    generation: int
    files: list[ArchivedFileDocument]
    pending: list[str]
    retired: list[RetiredFileDocument]
    owner: NotRequired[str]
    until: NotRequired[datetime]
