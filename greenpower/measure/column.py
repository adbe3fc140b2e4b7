"""Columns: a field of a series of readings, its numbers in order, and which readings they are of.

What belongs here: which stored values are measurements. Ingest stores finite numbers only; other programs may have
written, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

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


def make_columns(payloads: Sequence[Payload]) -> list[Column]:
    """Each field's numbers."""
    keys = payloads[0].keys()
    if not keys or not all(map(keys.__eq__, map(dict.keys, payloads))):
        every = dict.fromkeys(name for payload in payloads for name in payload)
        return [column for name in every if (column := _sparse(name, payloads)) is not None]
    names = list(keys)
    found: Iterable[tuple[Any, ...]]
    if len(names) > 1:
        found = zip(*map(itemgetter(*names), payloads), strict=True)
    else:
        found = [tuple(payload[names[0]] for payload in payloads)]
    columns: list[Column] = []
    for name, values in zip(names, found, strict=True):
        if are_numbers(values):
            columns.append(Column(name, values, None))
        elif (column := _sparse(name, payloads)) is not None:
            columns.append(column)
    return columns


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
