"""Writing one file of a month: noted before it is begun, synced, read back and compared row by row.

What belongs here: making a file that can be trusted. What does not: which readings go into it
(`greenpower.archive.collect`), and when the manifest names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from bson import ObjectId
from pymongo.collection import Collection

from greenpower.archive.columns import Document, plain_bytes, to_documents, to_table
from greenpower.archive.errors import ArchiveFileError
from greenpower.archive.files import FileStore
from greenpower.archive.step import ArchiveStep, Tell
from greenpower.mongo.archive.document import ArchivedFileDocument, ArchiveMonthDocument
from greenpower.mongo.archive.manifest import add_pending


def digest_of(documents: Iterable[Document]) -> tuple[int, str]:
    """How many readings there are, and the sha256 of all of them as BSON."""
    digest, rows = hashlib.sha256(), 0
    for document in documents:
        digest.update(plain_bytes(document))
        rows += 1
    return rows, digest.hexdigest()


def read_back(store: FileStore, path: str) -> tuple[int, str]:
    """`digest_of` of a stored file. Raises ArchiveFileError."""
    return digest_of(document for table in store.groups(path) for document in to_documents(table))


def write_file(
    manifest: Collection[Document],
    month: ArchiveMonthDocument,
    owner: str,
    store: FileStore,
    documents: Sequence[Document],
    tell: Tell,
) -> ArchivedFileDocument:
    """Write readings, in order, to a new file. Returns its entry; the caller lets the manifest name it.

    Raises ManifestTakenError, ArchiveFileError where what is read back is not what was written, OSError, PyMongoError.
    """
    path = f"type={month['type']}/month={month['month']:%Y-%m}/{month['generation'] + 1:06d}-{ObjectId()}.parquet"
    add_pending(manifest, month["_id"], owner, path)
    tell(ArchiveStep.NOTED)
    size, sha256 = store.write(path, to_table(documents))
    tell(ArchiveStep.WRITTEN)
    expected = digest_of(documents)
    if read_back(store, path) != expected:
        raise ArchiveFileError(f"archive file {path} does not read back as it was written")
    tell(ArchiveStep.COMPARED)
    first, last = documents[0], documents[-1]
    return ArchivedFileDocument(
        path=path,
        rows=expected[0],
        first={"device_id": first["device_id"], "timestamp": first["timestamp"]},
        last={"device_id": last["device_id"], "timestamp": last["timestamp"]},
        size=size,
        sha256=sha256,
        digest=expected[1],
        written_at=first["updated_at"],  # the switch sets it
        cleared=False,
    )
