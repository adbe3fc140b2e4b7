"""Rows of SQL as documents and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

# BSON's times have milliseconds, SQL's have microseconds: they go as text, under a name that no column's value has.
TIME = "$time"


def to_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what BSON would change made text."""
    return {name: _plain(value) for name, value in row.items()}


def to_row(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as a row again."""
    return {name: _typed(value) for name, value in document.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {TIME: value.isoformat()}
    return value.value if isinstance(value, Enum) else value


def _typed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return datetime.fromisoformat(value[TIME]) if TIME in value else to_row(value)
    return [_typed(item) for item in value] if isinstance(value, list) else value
