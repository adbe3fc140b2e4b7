"""Collecting: what MongoDB holds of a month and the archive does not have goes into files.

What belongs here: which readings go into which file. What does not: writing one (`greenpower.archive.write`), deleting
what was archived (`greenpower.archive.clear`).

A file is responsible for its readings and all after it, up to the next file; the first one for all before it too. New
readings within a file are merged with it into new files, which replace it. Each file is named by the manifest when it
is done, so a run that is killed has lost one file's work at most.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from pymongo.collection import Collection

from greenpower.archive.columns import Document, to_documents
from greenpower.archive.files import FileStore
from greenpower.archive.held import delete_archived, held_readings
from greenpower.archive.join import adds_nothing, join, joined, key_of
from greenpower.archive.months import key_order
from greenpower.archive.step import ArchiveStep, Tell
from greenpower.archive.write import write_file
from greenpower.mongo.archive.document import ArchivedFileDocument, ArchiveMonthDocument
from greenpower.mongo.archive.manifest import switch, take_month

MAX_FILE_ROWS = 32_768


class Collector:
    """The collecting of one month in one run. rows: how many readings were archived, so far."""

    def __init__(
        self,
        manifest: Collection[Document],
        readings: Collection[Document],
        store: FileStore,
        month: ArchiveMonthDocument,
        owner: str,
        tell: Tell,
        max_rows: int = MAX_FILE_ROWS,
    ) -> None:
        self.rows = 0
        self._manifest = manifest
        self._readings = readings
        self._store = store
        self._month = month
        self._owner = owner
        self._tell = tell
        self._max_rows = max_rows

    def collect(self) -> ArchiveMonthDocument:
        """Archive what is not archived. Returns the month then.

        Raises ManifestTakenError, ArchiveFileError, OSError, PyMongoError; what was switched until then stays.
        """
        chunk: list[Document] = []
        at: int | None = None
        for document in held_readings(self._readings, self._month["month"]):
            here = self._responsible(document)
            if chunk and (here != at or len(chunk) >= self._max_rows):
                self._take(at, chunk)
                chunk, here = [], self._responsible(document)
            chunk.append(document)
            at = here
        if chunk:
            self._take(at, chunk)
        return self._month

    def _responsible(self, document: Document) -> int | None:
        """The index of the file that a reading belongs to; None where there are no files."""
        files = self._month["files"]
        if not files:
            return None
        return max(bisect_right(files, key_of(document), key=lambda file: key_order(file["first"])) - 1, 0)

    def _take(self, index: int | None, chunk: list[Document]) -> None:
        """Archive what is new of some readings that belong to one file."""
        file = None if index is None else self._month["files"][index]
        new = chunk if file is None else self._news(file, chunk)
        if new:
            if file is None or (key_of(new[0]) > key_order(file["last"]) and 2 * file["rows"] >= self._max_rows):
                self._switch([new], ())
            else:
                old = (row for table in self._store.groups(file["path"]) for row in to_documents(table))
                self._switch(_split(list(joined(join(old, new))), self._max_rows), (file["path"],))
            self.rows += len(new)
        else:  # also keeps the lease
            self._month = take_month(self._manifest, self._month["type"], self._month["month"], self._owner)

    def _news(self, file: ArchivedFileDocument, chunk: list[Document]) -> list[Document]:
        """The readings of which a file does not have everything. Where it was cleared, the others are deleted."""
        if key_of(chunk[0]) > key_order(file["last"]):
            return chunk
        new: list[Document] = []
        known: list[Document] = []
        devices = sorted({row["device_id"] for row in chunk})
        old = (row for table in self._store.groups(file["path"], devices=devices) for row in to_documents(table))
        for archived, held in join(old, chunk):
            if held is not None:
                (known if archived is not None and adds_nothing(archived, held) else new).append(held)
        if file["cleared"]:
            delete_archived(self._readings, self._month["type"], known)
        return new

    def _switch(self, parts: Sequence[Sequence[Document]], replaced: Sequence[str]) -> None:
        added = [write_file(self._manifest, self._month, self._owner, self._store, part, self._tell) for part in parts]
        switch(self._manifest, self._month, self._owner, added, replaced)
        self._tell(ArchiveStep.SWITCHED)
        self._month = take_month(self._manifest, self._month["type"], self._month["month"], self._owner)


def _split(documents: list[Document], most: int) -> list[list[Document]]:
    """Readings in parts of about the same length, none longer than `most`."""
    count = -(-len(documents) // most)
    length = -(-len(documents) // count)
    return [documents[start : start + length] for start in range(0, len(documents), length)]
