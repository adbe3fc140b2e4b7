"""Names of fields in a file: what each stands for, by the mapping or as it is, with a unit behind or beside it.

What belongs here: one name. What does not: the columns of a file (`columns`), reading cells (`cell`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from difflib import get_close_matches

from greenpower.datatype import DataType, DeclarationError, Field
from greenpower.datatype.field import normalise
from greenpower.importing.cell import CellRule, find_conversion
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.mapping import MappedColumn, Mapping

WITH_UNIT = re.compile(r"(.+?)\s*(?:\[([^\[\]]*)\]|\(([^()]*)\))")
#: names that are remembered, with their units
MAX_NAMES_KNOWN = 10_000


class CellNames:
    """What the names of fields in a file stand for."""

    def __init__(self, datatype: DataType, mapping: Mapping) -> None:
        self.datatype = datatype
        self.fields: MappingOf[str, Field] = {field.name: field for field in datatype.fields}
        self._mapping = mapping
        self._found: dict[tuple[str, str], CellRule | str] = {}
        for label, column in mapping.columns.items():
            if column.field not in self.fields and not (datatype.open and normalise(column.field) == column.field):
                raise ImportFileError(f"mapping: columns.{label}: {self.unknown(column.field)}")
            self._mapped(label, column)

    def unknown(self, name: str) -> str:
        """That a name is no field of the type, with those that are like it."""
        near = get_close_matches(normalise(name), self.fields, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"{self.datatype.name} has no field {name!r:.60}{hint}"

    def column(self, label: str) -> CellRule | None:
        """What a column holds, by the mapping or its name, with its unit behind it; None where no field is like that.
        Raises ImportFileError for a unit that cannot be converted."""
        if label in self._mapping.columns:
            return self._mapped(label, self._mapping.columns[label])
        if (key := normalise(label.strip())) in self.fields:
            return CellRule(key, label)
        if (found := WITH_UNIT.fullmatch(label.strip())) is None or (key := normalise(found[1])) not in self.fields:
            return None
        try:
            return CellRule(key, label, find_conversion(self.fields[key], found[2] or found[3] or ""))
        except DeclarationError as error:
            raise ImportFileError(f"column {label!r:.80}: {error}") from None

    def named(self, name: str, unit: str = "") -> CellRule | str:
        """What a name within a row stands for, with the unit beside it; else why it cannot be taken. Undeclared names
        are taken as they are: whether such values are stored is the type's matter."""
        known = self._found.get((name, unit))
        if known is None:
            if len(self._found) > MAX_NAMES_KNOWN:
                self._found.clear()
            known = self._found[name, unit] = self._named(name, unit)
        return known

    def _named(self, name: str, unit: str) -> CellRule | str:
        mapped = self._mapping.columns.get(name)
        if mapped is not None and (mapped.unit or not unit):
            return self._mapped(name, mapped)
        key = normalise(mapped.field if mapped is not None else name.strip())
        if mapped is None and not unit and key not in self.fields and (rule := self.column(name)) is not None:
            return rule
        try:
            scale = mapped.scale if mapped is not None else 1.0
            return CellRule(key, name, find_conversion(self.fields.get(key), unit, scale))
        except DeclarationError as error:
            return str(error)

    def _mapped(self, label: str, column: MappedColumn) -> CellRule:
        try:
            return CellRule(
                column.field, label, find_conversion(self.fields.get(column.field), column.unit, column.scale)
            )
        except DeclarationError as error:
            raise ImportFileError(f"mapping: columns.{label}: {error}") from None
