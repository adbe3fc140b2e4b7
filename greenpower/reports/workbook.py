"""A report as XLSX: sheets with numbers to compute with, sums as formulas, and charts of the program that opens it.

Names are always written as texts: none becomes a formula.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import xlsxwriter

from greenpower.reports.report import Report
from greenpower.reports.table import (
    Cell,
    CellKind,
    ReportTable,
    days_table,
    honesty_lines,
    period_line,
    points_table,
    summary_table,
    zones_table,
)

FORMATS = {CellKind.NUMBER: {"num_format": "#,##0.00"}, CellKind.PERCENT: {"num_format": "0.0%"}}
COLUMN_WIDTH, CHART_SIZE = 12, {"width": 760, "height": 300}
BAR = {"color": "#2F8F5B"}


def write_workbook(report: Report) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": report.title, "author": "Green Power"})
    formats = {kind: book.add_format(values) for kind, values in FORMATS.items()}
    bold, title = book.add_format({"bold": True}), book.add_format({"bold": True, "font_size": 16})
    sheet = book.add_worksheet("Summary")
    sheet.write_string(0, 0, report.title, title)
    sheet.write_string(1, 0, period_line(report))
    last = _table(sheet, 3, summary_table(report), formats, bold)
    sheet.write_string(last + 1, 0, "How good these figures are", bold)
    for number, line in enumerate(honesty_lines(report), last + 2):
        sheet.write_string(number, 0, line)
    if report.days:
        days = book.add_worksheet("Days")
        end = _table(days, 0, days_table(report), formats, bold)
        _sum(days, end, 1, [day.energy for day in report.days], formats, bold)
        days.insert_chart("E2", _chart(book, "Days", "column", "Consumption by day", report.unit, end))
    zones = book.add_worksheet("Zones")
    end = _table(zones, 0, zones_table(report), formats, bold)
    if report.zones:
        zones.insert_chart("G2", _chart(book, "Zones", "bar", "Consumption by zone", report.unit, end))
    _table(book.add_worksheet("Meter points"), 0, points_table(report), formats, bold)
    book.close()
    return buffer.getvalue()


def _table(sheet: Any, top: int, table: ReportTable, formats: Mapping[CellKind, Any], bold: Any) -> int:
    """Write a table. Returns the row after it."""
    for number, column in enumerate(table.columns):
        sheet.write_string(top, number, column.heading, bold)
        sheet.set_column(number, number, COLUMN_WIDTH * max(1.0, column.width))
    for place, row in enumerate(table.rows, top + 1):
        for number, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
            _cell(sheet, place, number, cell, formats.get(column.kind))
    if not table.rows:
        sheet.write_string(top + 1, 0, table.empty)
    else:
        sheet.freeze_panes(top + 1, 1)
    return top + 1 + len(table.rows)


def _cell(sheet: Any, row: int, column: int, cell: Cell, form: Any) -> None:
    if isinstance(cell, str):
        sheet.write_string(row, column, cell)
    elif isinstance(cell, int | float | Decimal):
        sheet.write_number(row, column, float(cell), form)


def _sum(
    sheet: Any, row: int, column: int, values: Sequence[float | None], formats: Mapping[CellKind, Any], bold: Any
) -> None:
    """A sum below a column, with its value for programs that compute nothing."""
    letter = chr(ord("A") + column)
    known = sum(value for value in values if value is not None)
    sheet.write_string(row, 0, "Sum", bold)
    sheet.write_formula(row, column, f"=SUM({letter}2:{letter}{row})", formats[CellKind.NUMBER], known)


def _chart(book: Any, sheet: str, kind: str, title: str, unit: str, end: int) -> Any:
    """A chart of the first two columns of a sheet."""
    chart = book.add_chart({"type": kind})
    chart.add_series(
        {"categories": [sheet, 1, 0, end - 1, 0], "values": [sheet, 1, 1, end - 1, 1], "fill": BAR, "gap": 40}
    )
    chart.set_title({"name": f"{title} ({unit})", "overlay": False})
    chart.set_legend({"none": True})
    chart.set_size(CHART_SIZE)
    if kind == "bar":
        chart.set_y_axis({"reverse": True})
    return chart
