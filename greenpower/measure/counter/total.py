"""Exact totals, and the numbers that documents keep of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from greenpower.measure.state import Number

LARGEST_STORED_INTEGER = 2**63


def split_total(total: Fraction) -> tuple[Number, list[float]]:
    """A total as the nearest number that a document can hold, and what is missing of it, largest part first.

    The same total always gives the same numbers. Totals of stored numbers split without a rest in the end, since each
    is a whole multiple of the smallest float.
    """
    if total.denominator == 1 and -LARGEST_STORED_INTEGER <= total.numerator < LARGEST_STORED_INTEGER:
        return total.numerator, []
    parts: list[float] = []
    while total:
        part = float(total)
        if part == 0:
            break
        parts.append(part)
        total -= Fraction(part)
    return parts[0], parts[1:]


def join_total(nearest: Number, rest: Sequence[Number] = ()) -> Fraction:
    """The total that `split_total` was given."""
    return sum((Fraction(part) for part in rest), Fraction(nearest))
