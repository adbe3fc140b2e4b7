"""A table of devices and meter points, as people bring it: CSV with a row for each counter. Pure.

    device;name;zone;role;point
    33B1225950027;Main meter;Site;grid_import;Grid connection

What belongs here: columns and cells. What does not: whether devices and types are there, and writing (`onboarding`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.datatype.claim import is_device_id

#: column → what it says, and how long a cell may be
COLUMNS: Mapping[str, tuple[str, int]] = {
    "device": ("the id that the device sends", 64),
    "name": ("name of the device", 120),
    "zone": ("name of the service zone of the device and the point; made if it is not there", 120),
    "role": ("the part that the point plays: " + ", ".join(PointRole), 16),
    "point": ("name of the meter point; rows of one point are added up; empty: the name of the device", 120),
    "type": ("data type, where the device sends several with counters, or has not sent anything yet", 64),
    "field": ("the counter, if it is not the one that stands for the device", 64),
    "carrier": ("what it measures, if the unit of the counter does not say so: " + ", ".join(Carrier), 16),
    "below": ("name of the point that measures what this one measures, and more", 120),
}
MAX_TABLE_ROWS = 2_000
MAX_TABLE_PROBLEMS = 50
DELIMITERS = ";\t,"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TableProblem:
    """Something in a table that cannot be. line: from 1, the headings; column: its heading, empty for all."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.text}"


class TableError(ValueError):
    """A table cannot be used. problems: in order of lines, at most `MAX_TABLE_PROBLEMS`."""

    def __init__(self, problems: Iterable[TableProblem]) -> None:
        self.problems = sorted({*problems})[:MAX_TABLE_PROBLEMS]
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row. line: from 1. Texts are empty, and others None, where the cell is."""

    line: int
    device: str
    name: str = ""
    zone: str = ""
    role: PointRole | None = None
    point: str = ""
    type: str = ""
    field: str = ""
    carrier: Carrier | None = None
    below: str = ""


def read_table(text: str) -> list[TableRow]:
    """The rows of a table. Cells are separated by what separates the headings: a semicolon, a tab or a comma. Raises
    TableError."""
    lines = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    first = next(iter(lines.splitlines()), "")
    delimiter = next((sign for sign in DELIMITERS if sign in first), ",")
    reader = csv.reader(StringIO(lines, newline=""), delimiter=delimiter, strict=True)
    try:
        headings = [cell.strip().lower() for cell in next(reader, [])]
        _check_headings(headings)
        rows: list[TableRow] = []
        problems: list[TableProblem] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) == MAX_TABLE_ROWS:
                raise TableError([_problem(reader.line_num, "", f"there are more than {MAX_TABLE_ROWS} rows")])
            if len(cells) > len(headings):
                problems.append(_problem(reader.line_num, "", f"it has {len(cells)} cells, not {len(headings)}"))
                continue
            values = dict(zip(headings, (cell.strip() for cell in cells), strict=False))
            wrong = list(_problems(reader.line_num, values))
            problems += wrong
            if not wrong:
                rows.append(_row(reader.line_num, values))
    except csv.Error as error:
        raise TableError([_problem(reader.line_num, "", f"{error}")]) from None
    if problems:
        raise TableError(problems)
    if not rows:
        raise TableError([_problem(1, "", "there are no rows below the headings")])
    return rows


def _check_headings(headings: list[str]) -> None:
    if unknown := [name for name in headings if name not in COLUMNS]:
        raise TableError([_problem(1, name, f"unknown; columns are {', '.join(COLUMNS)}") for name in unknown])
    if twice := {name for name in headings if headings.count(name) > 1}:
        raise TableError([_problem(1, name, "is there twice") for name in twice])
    if "device" not in headings:
        raise TableError([_problem(1, "device", "is missing")])


def _problems(line: int, values: Mapping[str, str]) -> Iterator[TableProblem]:
    for name, text in values.items():
        if len(text) > COLUMNS[name][1]:
            yield _problem(line, name, f"is longer than {COLUMNS[name][1]} characters")
        elif not text.isprintable():
            yield _problem(line, name, f"{text!r} has characters that cannot be shown")
    device = values.get("device", "")
    if not device:
        yield _problem(line, "device", "is empty")
    elif not is_device_id(device):
        yield _problem(line, "device", f"{device!r} is not a device id")
    for name, allowed in (("role", list(PointRole)), ("carrier", list(Carrier))):
        if (text := values.get(name, "")) and text.lower() not in allowed:
            yield _problem(line, name, f"{text!r} is not one of {', '.join(allowed)}")


def _row(line: int, values: Mapping[str, str]) -> TableRow:
    role, carrier = (values.get(name, "").lower() for name in ("role", "carrier"))
    texts = {name: text for name, text in values.items() if name not in ("role", "carrier")}
    return TableRow(
        line=line, role=PointRole(role) if role else None, carrier=Carrier(carrier) if carrier else None, **texts
    )


def _problem(line: int, column: str, text: str) -> TableProblem:
    return TableProblem(line=line, column=column, text=text)
