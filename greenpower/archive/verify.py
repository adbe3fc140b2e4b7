"""Checking the archive: every file is there and holds what the manifest says.

What belongs here: reading all of it. What does not: repairing; a damaged file comes back from a backup of the folder.
"""

from __future__ import annotations

from collections.abc import Iterator

from pymongo.database import Database

from greenpower.archive.errors import ArchiveFileError
from greenpower.archive.files import FileStore
from greenpower.archive.months import key_order
from greenpower.archive.write import read_back
from greenpower.config import Settings
from greenpower.mongo.archive.document import ArchivedFileDocument
from greenpower.mongo.archive.manifest import read_months
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST


def verify_archive(
    db: Database[Document], settings: Settings, type_name: str | None = None
) -> Iterator[tuple[ArchivedFileDocument, str]]:
    """Each file of a type, or of all, with what is wrong with it; empty where nothing is. Raises PyMongoError."""
    store = FileStore.of(settings)
    for month in read_months(db[ARCHIVE_MANIFEST], type_name):
        before = None
        for file in month["files"]:
            problem = _problem(store, file)
            if not problem and before is not None and key_order(file["first"]) <= before:
                problem = "overlaps the file before it"
            before = key_order(file["last"])
            yield file, problem


def _problem(store: FileStore, file: ArchivedFileDocument) -> str:
    try:
        if store.sum(file["path"]) != (file["size"], file["sha256"]):
            return "its checksum is not the one in the manifest"
        if read_back(store, file["path"]) != (file["rows"], file["digest"]):
            return "its readings are not those that were written"
    except ArchiveFileError as error:
        return str(error)
    return ""
