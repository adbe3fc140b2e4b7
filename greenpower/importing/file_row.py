"""A row as it is in a file, before anything of it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class FileRow:
    """A row, or the lines of one reading in a file with a line per value.

    number: the line or row in the file, from 1; in CSV the header is line 1. device, time, topic: as they are there.
    values: {stored key: value as it is there, in the field's unit}. left_out: {stored key: why its value is left out}.
    places: {stored key: (line, column)} where that is not `number` and the key. lines: how many lines it has.
    """

    number: int
    device: str
    time: Any
    topic: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[int, str]] = field(default_factory=dict)
    lines: int = 1
    error: str = ""
