"""Columns: a field of a series of readings, its numbers in order, and which readings they are of.

What belongs here: which stored values are measurements. Ingest stores finite numbers only; other programs may have
written, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from greenpower.measure.reading_table import TablePayloads
from greenpower.measure.state import Number

Payload = dict[str, Any]
NUMBER_TYPES = frozenset({int, float})

# A window: its start, its first reading and the one past its last.
Cut = tuple[datetime, int, int]


@dataclass(frozen=True, slots=True)
class Column:
    """The numbers of one field. where: the readings that they are of, in order; None: one of each reading."""

    name: str
    values: Sequence[Number]
    where: Sequence[int] | None

    def cut(self, cuts: Sequence[Cut]) -> list[tuple[int, int]]:
        """For each window its first number and the one past its last."""
        if self.where is None:
            return [(i, j) for _, i, j in cuts]
        return [(bisect_left(self.where, i), bisect_left(self.where, j)) for _, i, j in cuts]

    def first_from(self, reading: int) -> int:
        """The first number that is not of a reading before this one: so many are before it."""
        return reading if self.where is None else bisect_left(self.where, reading)

    def reading(self, index: int) -> int:
        """The reading that a number is of."""
        return index if self.where is None else self.where[index]


def make_columns(payloads: Sequence[Payload], only: AnyOf[str] | None = None) -> list[Column]:
    """Each field's numbers. only: of these fields; None for all."""
    names: Iterable[str] = payloads[0]
    if isinstance(payloads, TablePayloads):
        names = [name for name in names if only is None or name in only]
        found: Iterable[tuple[Any, ...]] | None = payloads.whole(names)
    else:
        found = _whole(list(names), payloads)
    if found is None:
        every = dict.fromkeys(name for payload in payloads for name in payload if only is None or name in only)
        return [column for name in every if (column := _sparse(name, payloads)) is not None]
    columns: list[Column] = []
    for name, values in zip(names, found, strict=True):
        if only is not None and name not in only:
            continue
        if are_numbers(values):
            columns.append(Column(name, values, None))
        elif (column := _sparse(name, payloads)) is not None:
            columns.append(column)
    return columns


def _whole(names: Sequence[str], payloads: Sequence[Payload]) -> Iterable[tuple[Any, ...]] | None:
    """The values of each field, where all payloads have the same fields, at least one; None otherwise."""
    # As many fields, and none of these missing: a third of what comparing the keys costs.
    if not names or set(map(len, payloads)) != {len(names)}:
        return None
    try:
        rows = list(map(itemgetter(*names), payloads))
    except KeyError:
        return None
    return zip(*rows, strict=True) if len(names) > 1 else [tuple(rows)]


def _sparse(name: str, payloads: Sequence[Payload]) -> Column | None:
    where = [index for index, payload in enumerate(payloads) if is_number(payload.get(name))]
    if not where:
        return None
    return Column(name, tuple(payloads[index][name] for index in where), where)


def _numeric(kind: type) -> bool:
    return issubclass(kind, int | float) and kind is not bool


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return _numeric(type(value)) and value - value == 0


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are finite numbers. As fast as a column of floats can be looked through."""
    kinds = set(map(type, values))
    if not (kinds <= NUMBER_TYPES or all(map(_numeric, kinds))):
        return False
    total = sum(values)
    return bool(total - total == 0)
