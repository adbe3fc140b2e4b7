"""Exact sums of numbers as they are stored: integers and floats add up to the same total in any order.

A total is a `Fraction`. Stored, it is the nearest number and, where that is not all of it, the rest as further numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Number = int | float
LARGEST = 2**63


def split(total: Fraction) -> tuple[Number, list[float]]:
    """A total as the nearest number that a document can hold, and what is missing of it, largest part first.

    The same total always gives the same numbers. Totals of stored numbers split without a rest in the end, since each
    is a whole multiple of the smallest float.
    """
    if total.denominator == 1 and -LARGEST <= total.numerator < LARGEST:
        return total.numerator, []
    parts: list[float] = []
    while total:
        part = float(total)
        if part == 0:
            break
        parts.append(part)
        total -= Fraction(part)
    return parts[0], parts[1:]


def join(nearest: Number, rest: Sequence[Number] = ()) -> Fraction:
    """The total that `split` was given."""
    return sum((Fraction(part) for part in rest), Fraction(nearest))
