"""CSV for answers: a header and one line per row, as in RFC 4180, with texts that no spreadsheet takes for a formula.

What belongs here: how a value is written. What does not: which columns an answer has.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

# A spreadsheet runs a cell that begins with one of these, also where the file has it in quotes.
# Some take the full-width signs for the same.
FORMULA_STARTS = frozenset("=+-@\t\r\n\0\x7f\uff1d\uff0b\uff0d\uff20")
TEXT_MARK = "'"


def csv_text(value: str) -> str:
    """A text from outside, as a cell that stays a text: one that would be a formula gets an apostrophe before it."""
    return TEXT_MARK + value if value[:1] in FORMULA_STARTS or "" < value[:1] < " " else value


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV in UTF-8. Texts go through `csv_text`, booleans become `true` and `false`, None an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return csv_text(value) if isinstance(value, str) else value
