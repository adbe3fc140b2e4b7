"""Texts in parameters: bounded, and without characters that a database, a log or a header could choke on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe

# For the schema; `_clean` has the last word (`$` lets a final newline through, in Python alone).
CLEAN = r"^[^\x00-\x1f\x7f-\x9f]*$"


def text(what: str, longest: int, shortest: int = 0, *, example: str = "", **options: Any) -> ma.fields.String:
    """A field of text without control characters. what: its description."""
    metadata = describe(what, **({"example": example} if example else {}))
    checks: list[Callable[[str], object]] = [ma.validate.Length(shortest, longest), ma.validate.Regexp(CLEAN), _clean]
    return ma.fields.String(validate=checks, metadata=metadata, **options)


def _clean(value: str) -> None:
    if "\n" in value:
        raise ma.ValidationError("Holds a line break.")
