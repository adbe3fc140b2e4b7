"""Cells: from a text or number in a file to a number in the unit of its field.

What belongs here: units, scales, decimal commas, what counts as missing. What does not: ranges, words and undeclared
keys, which are checked as those of frames are (`greenpower.datatype.check`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from greenpower.catalog.conversion import conversion
from greenpower.datatype import DeclarationError, Field, Kind
from greenpower.datatype.check import is_numeral
from greenpower.datatype.conversion import Conversion

BAD_UNIT = "bad-unit"


@dataclass(frozen=True, slots=True)
class CellRule:
    """How the cells of a column are read. key: stored. label: of the column. convert: None where nothing is."""

    key: str
    label: str
    convert: Conversion | None = None


def find_conversion(field: Field | None, unit: str, scale: float = 1.0) -> Conversion | None:
    """What makes of numbers in a unit those of a field; None where they are the same. field: None for an undeclared
    one, which has no unit. Raises DeclarationError."""
    if field is None:
        return Conversion(Decimal(repr(scale))) if scale != 1 else None
    unit = unit.strip()
    if scale == 1 and unit in ("", str(field.unit)):
        return None
    if field.kind is Kind.ENUMERATION:
        raise DeclarationError(f"{field.name} is an enumeration, which has no unit")
    return _find(unit or str(field.unit), field.unit, scale)


@cache
def _find(unit: str, stored: str, scale: float) -> Conversion:
    return conversion(unit, stored, Decimal(repr(scale)))


class Cells:
    """Reads cells. missing: texts that stand for no value, besides an empty cell."""

    def __init__(self, decimal: str, missing: tuple[str, ...]) -> None:
        self._comma = decimal == ","
        self._missing = frozenset({"", *missing})

    def read(self, value: Any, convert: Conversion | None) -> Any:
        """A value in the field's unit; None where there is none; a text that is no number as it is."""
        if isinstance(value, str):
            value = value.strip()
            if value in self._missing:
                return None
            if self._comma and "." not in value:
                value = value.replace(",", ".", 1)
            if convert is not None and is_numeral(value):
                value = float(value) if set(value) & set(".eE") else int(value)
        if convert is not None and type(value) in (int, float):
            return convert(value)
        return value
