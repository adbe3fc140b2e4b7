"""A field of a series of readings: its numbers in order, and which readings they are of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

Number = int | float

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
