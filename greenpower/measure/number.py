"""Which stored values are measurements. Ingest stores finite numbers only; others may have written, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PLAIN = frozenset({int, float})


def _numeric(kind: type) -> bool:
    return issubclass(kind, int | float) and kind is not bool


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return _numeric(type(value)) and value - value == 0


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are finite numbers. As fast as a column of floats can be looked through."""
    kinds = set(map(type, values))
    if not (kinds <= PLAIN or all(map(_numeric, kinds))):
        return False
    total = sum(values)
    return bool(total - total == 0)
