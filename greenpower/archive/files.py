"""Files of the archive: a folder, or a bucket through pyarrow's file systems.

What belongs here: writing a file so that it stays, reading parts of it, removing it. What does not: which files there
are (`greenpower.mongo.archive.manifest`), what their columns mean (`greenpower.archive.columns`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import bson
import pyarrow as pa
import pyarrow.compute as pc
from bson import ObjectId
from pyarrow import fs, parquet

from greenpower.archive.columns import CODEC, EPOCH, MILLISECOND, milliseconds
from greenpower.archive.errors import ArchiveFileError
from greenpower.config import Settings
from greenpower.private_files import make_private_folder, private_opener

ROW_GROUP_ROWS = 16_384
COMPRESSION_LEVEL = 9
HASH_BLOCK_BYTES = 1 << 20
# A time that nothing is later than, in milliseconds.
ALWAYS_MS = 1 << 62
FEW_VALUES = ("device_id", "topic", "clock", "id_process", "shape")


class RowGroup(NamedTuple):
    """A part of a file. rows: how many readings it has."""

    path: str
    number: int
    rows: int


class UpdatedGroup(NamedTuple):
    """A part of a file, with the earliest and the latest `updated_at` in it, in milliseconds."""

    group: RowGroup
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class FileStore:
    """The place of all files. folder: on this machine, else None. Raises ArchiveFileError where a file is missing."""

    system: fs.FileSystem
    root: str
    folder: Path | None

    @classmethod
    def of(cls, settings: Settings) -> FileStore:
        """The place that the settings name. Raises ArchiveFileError for a URL that cannot be used."""
        place = settings.archive_place
        if isinstance(place, Path):
            return cls(fs.LocalFileSystem(), str(place), place)
        try:
            system, root = fs.FileSystem.from_uri(place)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ArchiveFileError(f"ARCHIVE_URL cannot be used: {type(error).__name__}") from None
        return cls(system, root.rstrip("/"), None)

    def write(self, path: str, table: pa.Table) -> tuple[int, str]:
        """Write a table to a new file, to the disk. Returns its size in bytes and its sha256."""
        full = self._full(path)
        if self.folder is None:
            with self.system.open_output_stream(full) as sink:
                _write_parquet(table, sink)
        else:
            for folder in reversed(list(_up_to(Path(full).parent, self.folder))):
                make_private_folder(folder)
            with open(full, "wb", opener=private_opener) as file:
                _write_parquet(table, pa.PythonFile(file, mode="w"))
                file.flush()
                os.fsync(file.fileno())
            for folder in _up_to(Path(full).parent, self.folder.parent):
                _sync_folder(folder)
        return self.sum(path)

    def sum(self, path: str) -> tuple[int, str]:
        """Size and sha256 of a file as it is stored."""
        digest, size = hashlib.sha256(), 0
        with self._missing_named(path), self.system.open_input_stream(self._full(path)) as source:
            while block := source.read(HASH_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
        return size, digest.hexdigest()

    def groups(
        self,
        path: str,
        *,
        devices: Sequence[str] | None = None,
        begin: datetime | None = None,
        end: datetime | None = None,
        fields: Sequence[str] | None = None,
        newest_first: bool = False,
    ) -> Iterator[pa.Table]:
        """The readings of a file, in pieces: of these devices, from begin to before end. newest_first: from the end.

        fields: whose values are read; None for all. Raises ArchiveFileError.
        """
        with self._missing_named(path), self.system.open_input_file(self._full(path)) as source:
            file = parquet.ParquetFile(source)
            order, names = range(file.num_row_groups), _wanted(file.schema_arrow, fields)
            for number in reversed(order) if newest_first else order:
                if not _may_have(file.metadata.row_group(number), file.schema_arrow, devices, begin, end):
                    continue
                table = file.read_row_group(number, columns=names, use_threads=False)
                if (mask := _mask(table, devices, begin, end)) is not None:
                    table = table.filter(mask)
                if newest_first:
                    table = table.take(pa.array(range(len(table) - 1, -1, -1), pa.int64()))
                if len(table):
                    yield table

    def row_groups(
        self, path: str, *, devices: Sequence[str] | None, begin: datetime, end: datetime
    ) -> Iterator[RowGroup]:
        """The parts of a file that may have such readings. Raises ArchiveFileError."""
        with self._opened(path) as file:
            schema = file.schema_arrow
            for number in range(file.num_row_groups):
                metadata = file.metadata.row_group(number)
                if _may_have(metadata, schema, devices, begin, end):
                    yield RowGroup(path, number, metadata.num_rows)

    def keys(self, group: RowGroup, *, devices: Sequence[str] | None, begin: datetime, end: datetime) -> pa.Table:
        """`device_id`, `timestamp` in milliseconds and `row` of those readings of a part. Raises ArchiveFileError."""
        with self._opened(group.path) as file:
            table = file.read_row_group(group.number, columns=["device_id", "timestamp"], use_threads=False)
        mask = _mask(table, devices, begin, end)
        keys = pa.table(
            {
                "device_id": table.column("device_id"),
                "timestamp": table.column("timestamp").cast(pa.int64()),
                "row": pa.array(range(len(table)), pa.int32()),
            }
        )
        return keys if mask is None else keys.filter(mask)

    def rows(self, group: RowGroup, fields: Sequence[str] | None) -> pa.Table:
        """All readings of a part, with the values of some fields; None for all. Raises ArchiveFileError."""
        with self._opened(group.path) as file:
            names = _wanted(file.schema_arrow, fields)
            return file.read_row_group(group.number, columns=names, use_threads=False)

    def updated_groups(self, path: str) -> list[UpdatedGroup]:
        """The parts of a file. Raises ArchiveFileError."""
        found = []
        with self._opened(path) as file:
            place = file.schema_arrow.names.index("updated_at")
            for number in range(file.num_row_groups):
                metadata = file.metadata.row_group(number)
                times = metadata.column(place).statistics
                known = times is not None and times.has_min_max and times.null_count == 0
                first, last = (milliseconds(times.min), milliseconds(times.max)) if known else (0, ALWAYS_MS)
                found.append(UpdatedGroup(RowGroup(path, number, metadata.num_rows), first, last))
        return found

    def updates(self, group: UpdatedGroup) -> Iterator[tuple[int, int, ObjectId]]:
        """(row, `updated_at` in milliseconds, `_id`) of each reading of a part. Raises ArchiveFileError."""
        names = ["updated_at", "id_time", "id_process", "id_count", "rest", "shape"]
        with self._opened(group.group.path) as file:
            table = file.read_row_group(group.group.number, columns=names, use_threads=False)
        times = table.column("updated_at").cast(pa.int64()).to_pylist()
        parts = zip(*(table.column(name).to_pylist() for name in names[1:]), strict=True)
        for row, (at, (seconds, process, count, rest, shape)) in enumerate(zip(times, parts, strict=True)):
            if shape is None:
                document = bson.decode(rest, CODEC)
                yield row, milliseconds(document["updated_at"]), document["_id"]
            else:
                yield row, at, ObjectId(seconds.to_bytes(4) + process + count.to_bytes(3))

    def devices(self, path: str) -> set[str]:
        """The devices of which a file has readings. Raises ArchiveFileError."""
        with self._opened(path) as file:
            return set(pc.unique(file.read(columns=["device_id"], use_threads=False).column("device_id")).to_pylist())

    @contextmanager
    def _opened(self, path: str) -> Iterator[parquet.ParquetFile]:
        with self._missing_named(path), self.system.open_input_file(self._full(path)) as source:
            yield parquet.ParquetFile(source)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            self.system.delete_file(self._full(path))

    def _full(self, path: str) -> str:
        return str(PurePosixPath(self.root) / path)

    def _missing_named(self, path: str) -> _Missing:
        return _Missing(path)


class _Missing:
    """Within it, errors of reading a file are told in one line that names it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError):
            reason = "it is missing" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())[:200]
            raise ArchiveFileError(f"archive file {self.path} cannot be read: {reason}") from error


def _write_parquet(table: pa.Table, sink: object) -> None:
    """Whole numbers as differences, doubles byte by byte, names by a dictionary; all of it zstd."""
    encodings = {
        field.name: "BYTE_STREAM_SPLIT" if field.type == pa.float64() else "DELTA_BINARY_PACKED"
        for field in table.schema
        if field.type in (pa.float64(), pa.int64()) or pa.types.is_timestamp(field.type)
    }
    parquet.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=list(FEW_VALUES),
        column_encoding=encodings,
        write_page_checksum=True,
    )


def _wanted(schema: pa.Schema, fields: Sequence[str] | None) -> list[str] | None:
    """The columns that are read; None for all."""
    if fields is None:
        return None
    ours = {f"{kind}.{name}" for name in fields for kind in ("value", "whole")}
    return [name for name in schema.names if name in ours or not name.startswith(("value.", "whole."))]


def _may_have(
    group: parquet.RowGroupMetaData,
    schema: pa.Schema,
    devices: Sequence[str] | None,
    begin: datetime | None,
    end: datetime | None,
) -> bool:
    """Whether a row group can have such rows, by its smallest and greatest values."""
    names = schema.names
    device, time = (group.column(names.index(name)).statistics for name in ("device_id", "timestamp"))
    if devices is not None and device is not None and device.has_min_max:  # of text, by its bytes
        low, high = device.min.encode(), device.max.encode()
        if not any(low <= name.encode() <= high for name in devices):
            return False
    if time is None or not time.has_min_max:
        return True
    return not ((begin is not None and time.max < begin) or (end is not None and time.min >= end))


def _mask(
    table: pa.Table, devices: Sequence[str] | None, begin: datetime | None, end: datetime | None
) -> pa.ChunkedArray | None:
    """Which rows are wanted; None: all."""
    masks = []
    if devices is not None:
        masks.append(pc.is_in(table.column("device_id"), value_set=pa.array(list(devices), pa.string())))
    times = table.column("timestamp").cast(pa.int64())
    if begin is not None:
        masks.append(pc.greater_equal(times, _ceiling(begin)))
    if end is not None:
        masks.append(pc.less(times, _ceiling(end)))
    mask = None
    for item in masks:
        mask = item if mask is None else pc.and_(mask, item)
    return mask


def _ceiling(time: datetime) -> int:
    """The first whole millisecond that is not before a time."""
    whole = milliseconds(time)
    return whole if EPOCH + whole * MILLISECOND == time else whole + 1


def _up_to(folder: Path, top: Path) -> Iterator[Path]:
    """A folder and those above it, to the top."""
    yield folder
    while folder not in (top, folder.parent):
        folder = folder.parent
        yield folder


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
