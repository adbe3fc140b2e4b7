"""The one table of all benches: a line a figure, with its floor and its goal; for people and for the README."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
HEADINGS = ("", "figure", "unit", "floor", "ratio", "goal", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure. floor: what bare code does with the same, in the same unit, and ratio to it. goal: as people say it;
    reached: whether, None where there is no goal."""

    part: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        floor = "" if self.floor is None else _number(self.floor)
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = "" if self.reached is None else "reached" if self.reached else "missed"
        return self.name, _number(self.value), self.unit, floor, ratio, self.goal, verdict


def at_least(part: str, name: str, value: float, unit: str, floor: float, goal: float | None = None) -> Line:
    """A rate beside its floor; goal: the least ratio."""
    ratio = value / floor
    text = "" if goal is None else f"≥ {goal:g} of floor"
    reached = None if goal is None else ratio >= goal
    return Line(part=part, name=name, value=value, unit=unit, floor=floor, ratio=ratio, goal=text, reached=reached)


def at_most(part: str, name: str, value: float, unit: str, goal: float | None) -> Line:
    """A figure that should be small."""
    text = "" if goal is None else f"≤ {goal:g}"
    return Line(
        part=part, name=name, value=value, unit=unit, goal=text, reached=None if goal is None else value <= goal
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on, and when."""
    found = [line.partition(":")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": found[0].strip() if found else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _lines(path: str) -> Iterator[str]:
    if os.path.exists(path):
        yield from Path(path).read_text().splitlines()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


def plain(lines: list[Line]) -> str:
    """The table for a terminal, a heading a part."""
    rows = [line.cells() for line in lines]
    widths = [max(len(row[column]) for row in [HEADINGS, *rows]) for column in range(len(HEADINGS))]

    def text(row: tuple[str, ...]) -> str:
        cells = [
            cell.rjust(width) if column in (1, 3, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    shown, part = [text(HEADINGS)], ""
    for line, row in zip(lines, rows, strict=True):
        if line.part != part:
            part = line.part
            shown.append(f"-- {part}")
        shown.append(text(row))
    return "\n".join(shown)


def markdown(report: dict[str, Any]) -> str:
    """The table for the README, with the machine and the date."""
    on = report["machine"]
    kind = "`make bench ARGS=--full`" if report["full"] else "`make bench`"
    head = f"{kind} on {on['date']}: {on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB, Python {on['python']}; "
    rows = [f"| {' | '.join(Line(**line).cells())} |" for line in report["lines"]]
    return "\n".join(
        [
            head + "clients, broker and mongod on the same machine.",
            "",
            f"| {' | '.join(HEADINGS)} |",
            "|---|---:|---|---:|---:|---|---|",
            *rows,
        ]
    )


def with_block(text: str, block: str) -> str:
    """A page with the block between its marks replaced. Raises ValueError where it has no marks."""
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"no {BEGIN} and {END} in it")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def as_documents(lines: list[Line]) -> list[dict[str, Any]]:
    """Lines as they are written down."""
    return [asdict(line) for line in lines]
