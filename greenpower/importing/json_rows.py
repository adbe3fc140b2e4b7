"""Rows of NDJSON: an object per line, as lists and exports have them, or flat, or with one value each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from greenpower.importing.cell import BAD_UNIT, Cells
from greenpower.importing.cell_names import CellNames
from greenpower.importing.columns import (
    DEVICE_NAMES,
    FIELD,
    OF_BUCKETS,
    OF_EXPORTS,
    TIME_NAMES,
    TOPIC,
    UNIT,
    VALUE,
)
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.file_row import FileRow
from greenpower.importing.mapping import Mapping
from greenpower.importing.source_file import SourceFile

PAYLOAD = "payload"
NOT_JSON = "not-json"


class JsonRows:
    """The rows of a file with an object per line. Making it reads the first line. Raises ImportFileError."""

    def __init__(self, source: SourceFile, names: CellNames, mapping: Mapping) -> None:
        self._source, self._names, self._mapping = source, names, mapping
        self._cells = Cells(mapping.decimal, mapping.missing)
        given = mapping.time
        self._time_keys = (given,) if isinstance(given, str) else given or ()
        first = self._first()
        if OF_BUCKETS in first and PAYLOAD in first:
            raise ImportFileError("these are buckets of a tier, not readings: export with the resolution raw")

    def _first(self) -> dict[str, Any]:
        with self._source.text(self._mapping.encoding) as lines:
            line = next((line for line in lines if line.strip()), "")
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ImportFileError(f"line 1: no JSON: {error}") from None
        if not isinstance(item, dict):
            raise ImportFileError("line 1: no JSON object; each line has to be one")
        return item

    def __iter__(self) -> Iterator[FileRow]:
        """Raises ImportFileError where the file breaks off."""
        with self._source.text(self._mapping.encoding) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield self._row(number, line)

    def _row(self, number: int, line: str) -> FileRow:
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError:
            item = None
        if not isinstance(item, dict):
            return FileRow(number, "", "", error=NOT_JSON)
        device = self._mapping.device_id or self._take(item, self._mapping.device, DEVICE_NAMES)
        topic = self._take(item, self._mapping.topic, (TOPIC,))
        row = FileRow(number, device if isinstance(device, str) else "", self._time(item))
        row.topic = topic if isinstance(topic, str) else ""
        if isinstance(device, int) and not isinstance(device, bool):
            row.device = str(device)
        for name, value, unit in self._values(item):
            self._add(row, name, value, unit)
        return row

    def _time(self, item: dict[str, Any]) -> Any:
        if not self._time_keys:
            return self._take(item, None, TIME_NAMES)
        parts = [item.pop(key, "") for key in self._time_keys]
        return parts[0] if len(parts) == 1 else " ".join(map(str, parts))

    def _take(self, item: dict[str, Any], given: str | None, usual: tuple[str, ...]) -> Any:
        """A value that is no field's, taken out. One that a field has the name of stays."""
        if given is not None:
            return item.pop(given, "")
        for name in usual:
            if name in item and name not in self._names.fields:
                return item.pop(name)
        return ""

    def _values(self, item: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
        mapping = self._mapping
        field = mapping.field or (FIELD if {FIELD, VALUE} <= item.keys() and FIELD not in self._names.fields else None)
        if field is not None:
            unit = item.get(mapping.unit or UNIT)
            yield str(item.get(field, "")), item.get(mapping.value or VALUE), unit if isinstance(unit, str) else ""
            return
        values = item.get(PAYLOAD)
        if not isinstance(values, dict) or PAYLOAD in self._names.fields:
            values = {
                name: value
                for name, value in item.items()
                if name in self._mapping.columns or name in self._names.fields or name not in OF_EXPORTS
            }
        for name, value in values.items():
            yield name, value, ""

    def _add(self, row: FileRow, name: str, value: Any, unit: str) -> None:
        mapping = self._mapping
        if name in mapping.ignore:
            return
        rule = self._names.named(name, unit)
        if isinstance(rule, str):
            row.left_out[name] = f"{BAD_UNIT}: {rule}"
            return
        if mapping.ignore_unknown and rule.key not in self._names.fields and name not in mapping.columns:
            return
        if (read := self._cells.read(value, rule.convert)) is not None:
            row.values.setdefault(rule.key, read)
            if name != rule.key:
                row.places[rule.key] = row.number, name
