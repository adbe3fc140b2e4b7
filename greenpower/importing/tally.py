"""What became of a file's rows: counts, and the first rows of each kind that were refused or had a value left out.

What belongs here: counting and naming. What does not: deciding (`row_check`), storing (`store_rows`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from greenpower.importing.file_row import FileRow

#: problems that are named, in all and of one reason
MAX_PROBLEMS = 50
MAX_PROBLEMS_OF_A_REASON = 5
MAX_DETAIL_CHARACTERS = 200
MAX_DEVICES_NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """What is wrong with a row or a value in it. line: of the file, from 1; of Parquet: the row. column: empty for the
    whole row."""

    line: int
    column: str
    reason: str
    detail: str

    @property
    def text(self) -> str:
        """One line for people."""
        where = f"line {self.line}" + (f", column {self.column!r:.80}" if self.column else "")
        return f"{where}: {self.reason}" + (f": {self.detail}" if self.detail else "")


@dataclass(slots=True)
class Tally:
    """Counts of rows. Each row is stored, duplicate or refused.

    lines: of the file; of a file with a line per value several lines are one row. stored: rows with any new value.
    duplicate: all of it was stored before. refused: by reason. left_out: single values, by reason. conflicts: rows with
    a value that is stored differently; what was there first stays. repeated_hour: rows in an hour that the zone
    repeats, told apart by their order. unknown, registered: devices. error: where the file breaks off, why.
    """

    lines: int = 0
    rows: int = 0
    stored: int = 0
    duplicate: int = 0
    conflicts: int = 0
    repeated_hour: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[RowProblem] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)
    registered: list[str] = field(default_factory=list)
    error: str = ""
    _named: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether all of the file could be taken."""
        return not (self.refused or self.left_out or self.error or self.conflicts)

    def refuse(self, row: FileRow, reason: str, detail: str = "", column: str = "") -> None:
        """Count a row that is not stored."""
        self.refused[reason] += 1
        self._name(RowProblem(line=row.number, column=column, reason=reason, detail=detail))

    def leave_out(self, row: FileRow, key: str, reason: str, detail: str = "") -> None:
        """Count a value that is not stored."""
        self.left_out[reason] += 1
        line, column = row.places.get(key, (row.number, key))
        self._name(RowProblem(line=line, column=column, reason=reason, detail=detail))

    def conflict(self, row: FileRow, keys: tuple[str, ...]) -> None:
        """Count a row with values that are stored differently."""
        self.conflicts += 1
        line, column = row.places.get(keys[0], (row.number, keys[0]))
        detail = "another value is stored for this time, and stays"
        self._name(RowProblem(line=line, column=column, reason="conflict", detail=detail))

    def _name(self, problem: RowProblem) -> None:
        self._named[problem.reason] += 1
        if len(self.problems) < MAX_PROBLEMS and self._named[problem.reason] <= MAX_PROBLEMS_OF_A_REASON:
            detail = problem.detail[:MAX_DETAIL_CHARACTERS].encode("utf-8", "backslashreplace").decode()
            column = problem.column[:MAX_DETAIL_CHARACTERS].encode("utf-8", "backslashreplace").decode()
            self.problems.append(RowProblem(line=problem.line, column=column, reason=problem.reason, detail=detail))

    def counts(self) -> dict[str, Any]:
        """The counts alone, as an audit keeps them."""
        return {
            "lines": self.lines,
            "rows": self.rows,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "conflicts": self.conflicts,
            "repeated_hour": self.repeated_hour,
            "refused": dict(self.refused),
            "left_out": dict(self.left_out),
            "devices_registered": self.registered[:MAX_DEVICES_NAMED],
        }

    def document(self) -> dict[str, Any]:
        """All of it, for an answer."""
        return {
            **self.counts(),
            "devices_unknown": list(self.unknown)[:MAX_DEVICES_NAMED],
            "problems": [
                {"line": one.line, "column": one.column, "reason": one.reason, "detail": one.detail}
                for one in self.problems
            ],
            "error": self.error,
        }
