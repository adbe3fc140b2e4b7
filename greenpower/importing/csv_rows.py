"""Rows of CSV: a line per row, with columns per field, or a line per value."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from greenpower.importing.cell import BAD_UNIT, Cells
from greenpower.importing.cell_names import CellNames
from greenpower.importing.columns import find_columns
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.file_row import FileRow
from greenpower.importing.mapping import Mapping
from greenpower.importing.source_file import SourceFile

DELIMITERS = ",;\t|"
#: our own exports put it before a text that a spreadsheet would take for a formula
TEXT_MARK = "'"
FORMULA_STARTS = "=+-@\t\r\n\0\x7f\uff1d\uff0b\uff0d\uff20"
TOO_MANY_CELLS = "too-many-cells"


class CsvRows:
    """The rows of a CSV file. Making it reads the header. Raises ImportFileError."""

    def __init__(self, source: SourceFile, names: CellNames, mapping: Mapping) -> None:
        self._source, self._names, self._mapping = source, names, mapping
        self._cells = Cells(mapping.decimal, mapping.missing)
        with source.text(mapping.encoding) as lines:
            first = next((line for line in lines if line.strip()), "")
            self._delimiter = mapping.delimiter or max(DELIMITERS, key=first.count)
        with source.text(mapping.encoding) as lines:
            _, header = next(self._records(lines), (0, []))
        if not header:
            raise ImportFileError("the file has no header")
        self._labels = [label.strip() for label in header]
        self.columns = find_columns(self._labels, names, mapping)

    def __iter__(self) -> Iterator[FileRow]:
        """Raises ImportFileError where the file breaks off."""
        with self._source.text(self._mapping.encoding) as lines:
            records = self._records(lines)
            next(records)
            if self.columns.narrow is None:
                for number, record in records:
                    yield self._row(number, record)
            else:
                yield from self._by_value(records)

    def _records(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """The lines that are not empty, each with its number."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise ImportFileError(f"line {number}: no CSV: {error}") from None
            if record and any(record):
                yield number, record

    def _row(self, number: int, record: Sequence[str]) -> FileRow:
        row = self._begin(number, record)
        for place, rule in self.columns.cells:
            if place < len(record) and (value := self._cells.read(record[place], rule.convert)) is not None:
                row.values[rule.key] = value
                if rule.label != rule.key:
                    row.places[rule.key] = number, rule.label
        return row

    def _by_value(self, records: Iterator[tuple[int, list[str]]]) -> Iterator[FileRow]:
        """The lines of a reading that stand together are one row."""
        assert self.columns.narrow is not None
        last: FileRow | None = None
        for number, record in records:
            row = self._begin(number, record)
            field, value, unit = (_at(record, place) for place in self.columns.narrow)
            rule = self._names.named(field, unit) if field else ""
            if isinstance(rule, str):
                key, why = field or "(none)", f"{BAD_UNIT}: {rule}" if rule else "no-field"
                row.left_out[key] = why
            else:
                key = rule.key
                if (read := self._cells.read(value, rule.convert)) is not None:
                    row.values[key] = read
            row.places[key] = number, field
            if last is not None and _is_of(last, row, key):
                last.values |= row.values
                last.left_out |= row.left_out
                last.places |= row.places
                last.lines += 1
                continue
            if last is not None:
                yield last
            last = row
        if last is not None:
            yield last

    def _begin(self, number: int, record: Sequence[str]) -> FileRow:
        columns = self.columns
        device = self._mapping.device_id if columns.device is None else _text(_at(record, columns.device))
        topic = "" if columns.topic is None else _text(_at(record, columns.topic))
        time = " ".join(_at(record, place) for place in columns.time)
        row = FileRow(number, device or "", time, topic)
        if len(record) > len(self._labels) and any(record[len(self._labels) :]):
            row.error = TOO_MANY_CELLS
        return row


def _is_of(row: FileRow, other: FileRow, key: str) -> bool:
    """Whether a line goes on with a row; a field that comes again begins another."""
    same = (row.device, row.time, row.topic) == (other.device, other.time, other.topic)
    return same and key not in row.places and not other.error and not row.error


def _at(record: Sequence[str], place: int | None) -> str:
    return record[place].strip() if place is not None and place < len(record) else ""


def _text(cell: str) -> str:
    """A text without the mark that keeps spreadsheets from running it."""
    return cell[1:] if cell[:1] == TEXT_MARK and cell[1:2] and cell[1] in FORMULA_STARTS else cell
