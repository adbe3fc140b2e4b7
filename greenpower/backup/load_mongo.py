"""Loading the MongoDB part of a backup beside the data, and switching to it: one rename for each collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from greenpower.backup.archive import ArchiveError, ArchiveFile, read_file
from greenpower.backup.manifest import Manifest
from greenpower.backup.write import Tell
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import NOT_DATA, SCHEMA, STAGED, WATERMARKS
from greenpower.mongo.schema.steps import KNOWN_VERSION

DOCUMENTS_PER_BATCH = 1_000
# Makes the collections with their indexes, each with this before its name.
Prepare = Callable[[str], object]


def check_documents(folder: Path, manifest: Manifest) -> None:
    """Raise ArchiveError where this program does not know the schema version of the backup's documents."""
    if any(part.name == f"mongo/{SCHEMA}" for part in manifest.parts):
        for document in read_file(folder, f"mongo/{SCHEMA}"):
            if document["oldest_reader"] > KNOWN_VERSION:
                raise ArchiveError(
                    f"{folder} needs schema version {document['oldest_reader']}, this version knows {KNOWN_VERSION}: "
                    f"load it with version {manifest.greenpower}"
                )


def data_collections(mongo: Database[Document]) -> list[str]:
    """The collections that a restore replaces. Raises PyMongoError."""
    names = sorted(mongo.list_collection_names())
    return [name for name in names if name not in NOT_DATA and not name.startswith(("system.", STAGED))]


def filled_collections(mongo: Database[Document]) -> list[str]:
    """Collections with documents; the schema version is made with the database and does not count."""
    names = (name for name in data_collections(mongo) if name != SCHEMA)
    return [name for name in names if mongo[name].find_one({}, {"_id": 1}) is not None]


def stage(folder: Path, manifest: Manifest, mongo: Database[Document], prepare: Prepare, tell: Tell) -> list[str]:
    """Load beside the data. Returns the names that `switch` takes. Raises ArchiveError, PyMongoError."""
    prepare(STAGED)
    for part in manifest.of("mongo"):
        if _collection(part) not in NOT_DATA:
            _load(folder, part, mongo, tell)
    names = [name.removeprefix(STAGED) for name in mongo.list_collection_names() if name.startswith(STAGED)]
    # Watermarks last: they vouch for the others.
    return sorted(names, key=lambda name: (name == WATERMARKS, name))


def switch(mongo: Database[Document], names: Sequence[str]) -> None:
    """Let what was loaded take the place of the data. Where it was interrupted, it goes on. Raises PyMongoError."""
    for name in names:
        if mongo.list_collection_names(filter={"name": STAGED + name}):
            mongo[STAGED + name].rename(name, dropTarget=True)
    for name in data_collections(mongo):
        if name not in names:
            mongo.drop_collection(name)


def _load(folder: Path, part: ArchiveFile, mongo: Database[Document], tell: Tell) -> None:
    collection: Any = mongo[STAGED + _collection(part)]
    done = 0
    for batch in _batches(read_file(folder, part.name)):
        collection.insert_many(batch, ordered=False)
        done += len(batch)
        tell(part.name, done, part.documents)
    if done != part.documents:
        raise ArchiveError(f"{part.name}: {done} documents were loaded, the backup has {part.documents}")


def _collection(part: ArchiveFile) -> str:
    return part.name.removeprefix("mongo/")


def _batches(documents: Iterable[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    left = iter(documents)
    while batch := list(islice(left, DOCUMENTS_PER_BATCH)):
        yield batch
