"""One file of a backup: BSON documents one after the other, compressed with zstd. Streamed both ways.

A row of SQL is a document as well; values without an exact BSON form are text (`greenpower.backup.table`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from bson import BSON, decode_file_iter
from bson.errors import InvalidBSON
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument

from greenpower.private_files import make_private_folder, private_opener

SUFFIX = ".bson.zst"
BLOCK_BYTES = 1 << 20


class ArchiveError(Exception):
    """A file of a backup is not what its manifest says. The text is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """What the manifest says of a file. documents: how many. size: in bytes. sha256: of the file on disk."""

    name: str
    documents: int
    size: int
    sha256: str


class _Hashed:
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.hash.update(view)
        self.size += len(view)
        return self.file.write(view)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def write_file(folder: Path, name: str, documents: Iterable[bytes]) -> ArchiveFile:
    """Write documents, each as BSON, to `folder/name.bson.zst`. Raises OSError."""
    count = 0
    path = folder / f"{name}{SUFFIX}"
    make_private_folder(path.parent)
    with open(path, "wb", opener=private_opener) as file:
        hashed = _Hashed(file)
        with pa.CompressedOutputStream(pa.PythonFile(hashed, mode="w"), "zstd") as sink:
            held = bytearray()
            for document in documents:
                held += document
                count += 1
                if len(held) >= BLOCK_BYTES:
                    sink.write(bytes(held))
                    held.clear()
            sink.write(bytes(held))
    return ArchiveFile(name=name, documents=count, size=hashed.size, sha256=hashed.hash.hexdigest())


def read_file(folder: Path, name: str) -> Iterator[RawBSONDocument]:
    """The documents of a file. Raises OSError, ArchiveError where it is damaged."""
    path = folder / f"{name}{SUFFIX}"
    try:
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as source:
            yield from decode_file_iter(source, DEFAULT_RAW_BSON_OPTIONS)
    except FileNotFoundError:
        raise
    except (InvalidBSON, pa.ArrowException, OSError) as error:
        raise ArchiveError(f"{path}: damaged: {error}") from None


def check_file(folder: Path, part: ArchiveFile) -> None:
    """Read a file whole. Raises ArchiveError unless it is what the manifest says."""
    path = folder / f"{part.name}{SUFFIX}"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror}") from None
    if found != part.sha256:
        raise ArchiveError(f"{path}: its checksum is not the one in the manifest")
    documents = sum(1 for _ in read_file(folder, part.name))
    if documents != part.documents:
        raise ArchiveError(f"{path}: has {documents} documents, the manifest says {part.documents}")


def encode(document: dict[str, Any]) -> bytes:
    """A document as BSON."""
    return bytes(BSON.encode(document))
