"""One import: the rows of a file, checked and stored batch by batch.

What belongs here: the walk, in bounded memory, and telling how far it is. What does not: each of its steps (a module
each), who asked for it.

Interrupted anywhere, it can be run again: what was stored is a duplicate then, and no row is counted twice. A file that
breaks off is stored as far as it goes, and the tally says where it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO

from greenpower.archive.bring_back import BringBack
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.importing.cell_names import CellNames
from greenpower.importing.csv_rows import CsvRows
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.file_row import FileRow
from greenpower.importing.json_rows import JsonRows
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.mapping import Mapping
from greenpower.importing.row_check import RowChecker, TimeLimits
from greenpower.importing.source_file import FileFormat, SourceFile
from greenpower.importing.store_rows import RowStore
from greenpower.importing.tally import Tally
from greenpower.mongo.client import async_client
from greenpower.mongo.readings.store import Fragment

ROWS_PER_BATCH = 2_000
UNSTORABLE = "unstorable"
#: ids that are kept to be told
MAX_UNKNOWN_DEVICES = 1_000


@dataclass(slots=True, kw_only=True)
class OpenedFile:
    """A file whose columns are known. by_value: whether it has a line per value."""

    source: SourceFile
    form: FileFormat
    mapping: Mapping
    rows: Iterable[FileRow]
    by_value: bool

    @property
    def progress(self) -> float:
        """How much of it is read, from 0 to 1."""
        return min(self.source.position / self.source.size, 1.0)


def open_file(
    file: BinaryIO, datatype: DataType, mapping: Mapping, form: FileFormat | None = None, *, max_bytes: int = 0
) -> OpenedFile:
    """A file to import: its header is read. form: None to tell by its content. max_bytes: of it unpacked; 0: no limit.
    Raises ImportFileError."""
    source = SourceFile(file, max_bytes=max_bytes)
    form = form or source.guess()
    names = CellNames(datatype, mapping)
    if form == "ndjson":
        return OpenedFile(
            source=source, form=form, mapping=mapping, rows=JsonRows(source, names, mapping), by_value=False
        )
    if form == "csv":
        rows = CsvRows(source, names, mapping)
        return OpenedFile(
            source=source, form=form, mapping=mapping, rows=rows, by_value=rows.columns.narrow is not None
        )
    # Imported only when needed: it is large.
    from greenpower.importing.parquet_rows import ParquetRows

    found = ParquetRows(source, names, mapping)
    return OpenedFile(source=source, form=form, mapping=mapping, rows=found, by_value=found.columns.narrow is not None)


def run_import(
    opened: OpenedFile,
    datatype: DataType,
    settings: Settings,
    devices: ImportDevices,
    *,
    dry_run: bool = False,
    batch_rows: int = ROWS_PER_BATCH,
) -> Iterator[Tally]:
    """Import a file. Yields the same tally after each batch, and at the end; nothing of a batch is held back.

    Raises PyMongoError, SQLAlchemyError, ArchiveFileError; running it again goes on.
    """
    tally = Tally()
    archive = BringBack(settings, (datatype,))
    try:
        with asyncio.Runner() as runner:
            client = async_client(settings, appname="greenpower-import")
            try:
                store = RowStore(client[settings.mongo_db_name], datatype, settings, archive)
                limits = TimeLimits.of(settings, runner.run(store.whole_from()), datetime.now(UTC))
                checker = RowChecker(datatype, opened.mapping, limits, tally)
                rows = _until_broken(opened.rows, tally)
                while some := list(islice(rows, batch_rows)):
                    taken = _take(some, checker, devices, tally, by_value=opened.by_value)
                    if taken and dry_run:
                        runner.run(store.look_up(list(taken)))
                    elif taken:
                        tally.registered += devices.register({fragment.device_id for fragment in taken})
                        runner.run(store.store(list(taken)))
                    _count(taken, tally)
                    yield tally
            finally:
                runner.run(client.close())
    finally:
        archive.close()
    yield tally


def _until_broken(rows: Iterable[FileRow], tally: Tally) -> Iterator[FileRow]:
    try:
        yield from rows
    except ImportFileError as error:
        tally.error = str(error)


def _take(
    rows: Iterable[FileRow], checker: RowChecker, devices: ImportDevices, tally: Tally, *, by_value: bool
) -> dict[Fragment, FileRow]:
    """The rows of a batch that can be stored."""
    taken: dict[Fragment, FileRow] = {}
    for row in rows:
        fragment = checker.check(row, by_value=by_value)
        if fragment is None:
            continue
        if (problem := devices.problem(fragment.device_id)) is None:
            taken[fragment] = row
            continue
        tally.refuse(row, *problem)
        if len(tally.unknown) < MAX_UNKNOWN_DEVICES:
            tally.unknown[fragment.device_id] = None
    return taken


def _count(taken: dict[Fragment, FileRow], tally: Tally) -> None:
    """Count what became of rows."""
    for fragment, row in taken.items():
        if fragment.fault:
            tally.refuse(row, UNSTORABLE, fragment.fault)
            continue
        if fragment.new:
            tally.stored += 1
        else:
            tally.duplicate += 1
        if fragment.conflicts:
            tally.conflict(row, fragment.conflicts)
