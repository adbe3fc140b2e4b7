"""Entries of the audit as a file: NDJSON or CSV, for the API and the console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson

from greenpower.api.http.csv_text import csv_lines
from greenpower.sql.audit_read import AUDIT_COLUMNS

CSV, NDJSON = "csv", "ndjson"


def audit_file(batches: Iterable[list[dict[str, Any]]], name: str) -> Iterator[bytes]:
    """The bytes of a file. batches: rows of `AUDIT_COLUMNS`. name: of the format. In CSV, mappings are JSON."""
    if name == CSV:
        yield csv_lines([AUDIT_COLUMNS])
        for batch in batches:
            yield csv_lines([_cell(value) for value in row.values()] for row in batch)
        return
    for batch in batches:
        yield b"".join(orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for row in batch)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return orjson.dumps(value).decode() if isinstance(value, dict) else value
