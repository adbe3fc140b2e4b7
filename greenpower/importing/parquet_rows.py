"""Rows of Parquet: columns per field, or a row per value. `pyarrow` is imported with this module only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from greenpower.importing.cell import BAD_UNIT, Cells
from greenpower.importing.cell_names import CellNames
from greenpower.importing.columns import find_columns
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.file_row import FileRow
from greenpower.importing.mapping import Mapping
from greenpower.importing.source_file import SourceFile

ROWS_PER_BATCH = 5_000


class ParquetRows:
    """The rows of a Parquet file. Making it reads the footer. Raises ImportFileError."""

    def __init__(self, source: SourceFile, names: CellNames, mapping: Mapping) -> None:
        self._source, self._names, self._mapping = source, names, mapping
        self._cells = Cells(mapping.decimal, mapping.missing)
        if source.is_packed:
            raise ImportFileError("a Parquet file is compressed by itself: give it without gzip")
        try:
            with source.seekable() as file:
                schema = parquet.ParquetFile(file).schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise ImportFileError(f"no Parquet file: {_line(error)}") from None
        units = {
            field.name: field.metadata[b"unit"].decode("utf-8", "replace")
            for field in schema
            if field.metadata and b"unit" in field.metadata
        }
        self.columns = find_columns(schema.names, names, mapping, units)
        self._labels = schema.names

    def __iter__(self) -> Iterator[FileRow]:
        """Raises ImportFileError where the file breaks off."""
        columns, labels = self.columns, self._labels
        places = [columns.device, columns.topic, *columns.time, *(place for place, _ in columns.cells)]
        places += columns.narrow or ()
        wanted = sorted({place for place in places if place is not None})
        number = 0
        try:
            with self._source.seekable() as file:
                read = parquet.ParquetFile(file)
                names = [labels[place] for place in wanted]
                for batch in read.iter_batches(ROWS_PER_BATCH, columns=names, use_threads=False):
                    values = {place: _values(batch.column(labels[place])) for place in wanted}
                    for row in range(batch.num_rows):
                        number += 1
                        yield self._row(number, {place: column[row] for place, column in values.items()})
        except (pa.ArrowException, OSError) as error:
            raise ImportFileError(f"no Parquet file behind row {number}: {_line(error)}") from None

    def _row(self, number: int, cells: dict[int, Any]) -> FileRow:
        columns = self.columns
        device = self._mapping.device_id if columns.device is None else cells[columns.device]
        times = [cells[place] for place in columns.time]
        time = times[0] if len(times) == 1 else " ".join(map(str, times))
        topic = None if columns.topic is None else cells[columns.topic]
        row = FileRow(number, "" if device is None else str(device), time, "" if topic is None else str(topic))
        if columns.narrow is not None:
            field, value, unit = (None if place is None else cells[place] for place in columns.narrow)
            name = "" if field is None else str(field)
            rule = self._names.named(name, "" if unit is None else str(unit))
            if isinstance(rule, str):
                row.left_out[name] = f"{BAD_UNIT}: {rule}"
            elif (read := self._cells.read(value, rule.convert)) is not None:
                row.values[rule.key] = read
            return row
        for place, rule in columns.cells:
            if (value := self._cells.read(cells[place], rule.convert)) is not None:
                row.values[rule.key] = value
                if rule.label != rule.key:
                    row.places[rule.key] = number, rule.label
        return row


def _values(column: Any) -> list[Any]:
    """Nanoseconds are cut: Python has none."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
