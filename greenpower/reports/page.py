"""A report as a page of HTML: one file without scripts, to be read and printed. Everything in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from greenpower.reports.chart import BarChart, days_chart, line_text, short, zones_chart
from greenpower.reports.report import Report
from greenpower.reports.table import (
    CellKind,
    ReportTable,
    cell_text,
    days_table,
    honesty_lines,
    period_line,
    points_table,
    summary_table,
    zones_table,
)

STYLE = """
body{font:15px/1.45 system-ui,"Noto Sans","Noto Sans Bengali",sans-serif;color:#1c2733;max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2rem 0 .5rem;color:#1f6f43}
p{margin:.2rem 0}.muted{color:#5b6875}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .5rem;border-bottom:1px solid #d9e0e6;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{color:#5b6875;font-weight:600}.n{text-align:right;white-space:nowrap}
svg{width:100%;height:auto}svg text{font-size:11px;fill:#5b6875}.bar{fill:#2f8f5b}.line{stroke:#d9e0e6}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,svg{break-inside:avoid}}
"""
CHART_WIDTH, CHART_HEIGHT, LEFT, BOTTOM, TOP = 900, 220, 70, 24, 10
ROW, NAMES, ROOM = 26, 220, 110


def write_page(report: Report) -> str:
    """The page."""
    return "".join(_parts(report))


def _parts(report: Report) -> Iterator[str]:
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(report.title)}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{STYLE}</style></head><body>"
    yield f"<h1>{escape(report.title)}</h1>"
    yield f'<p class="muted">{escape(period_line(report))}</p>'
    yield from _table(summary_table(report))
    if not report.is_empty:
        yield f"<h2>{days_chart(report).title} ({escape(report.unit)})</h2>"
        yield _columns(days_chart(report))
    if (zones := zones_chart(report)) is not None:
        yield f"<h2>{zones.title} ({escape(report.unit)})</h2>"
        yield _rows(zones)
    yield from _table(zones_table(report))
    yield from _table(points_table(report))
    yield "<h2>How good these figures are</h2><ul>"
    yield from (f"<li>{escape(line)}</li>" for line in honesty_lines(report))
    yield "</ul>"
    if report.days and not report.is_empty:
        yield from _table(days_table(report))
    yield "</body></html>\n"


def _table(table: ReportTable) -> Iterator[str]:
    yield f"<h2>{escape(table.title)}</h2>"
    if not table.rows:
        yield f'<p class="muted">{escape(table.empty)}</p>'
        return
    classes = ["" if column.kind is CellKind.TEXT else ' class="n"' for column in table.columns]
    yield "<table><thead><tr>"
    yield from (f"<th{name}>{escape(column.heading)}</th>" for column, name in zip(table.columns, classes, strict=True))
    yield "</tr></thead><tbody>"
    for row in table.rows:
        yield "<tr>"
        for cell, column, name in zip(row, table.columns, classes, strict=True):
            yield f"<td{name}>{escape(cell_text(cell, column.kind))}</td>"
        yield "</tr>"
    yield "</tbody></table>"


def _columns(chart: BarChart) -> str:
    """Upright bars over a scale."""
    inner, step = CHART_HEIGHT - BOTTOM - TOP, (CHART_WIDTH - LEFT) / max(1, len(chart.values))

    def y(value: float) -> float:
        return TOP + inner * (1 - chart.height(value))

    found = [f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" role="img" aria-label="{escape(chart.title)}">']
    for line in chart.lines:
        found.append(f'<line class="line" x1="{LEFT}" x2="{CHART_WIDTH}" y1="{y(line):.1f}" y2="{y(line):.1f}"/>')
        found.append(f'<text x="{LEFT - 6}" y="{y(line) + 4:.1f}" text-anchor="end">{line_text(line)}</text>')
    for number, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        x = LEFT + number * step
        found.append(f'<text x="{x + step / 2:.1f}" y="{CHART_HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>')
        if value is not None:
            top, low = min(y(value), y(0)), max(y(value), y(0))
            found.append(
                f'<rect class="bar" x="{x + step * 0.15:.1f}" y="{top:.1f}" width="{step * 0.7:.1f}" '
                f'height="{low - top:.1f}"><title>{escape(label)}: {cell_text(value, CellKind.NUMBER)}</title></rect>'
            )
    return "".join(found) + "</svg>"


def _rows(chart: BarChart) -> str:
    """Lying bars, with their names and values."""
    height, inner = ROW * len(chart.values), CHART_WIDTH - NAMES - ROOM

    def x(value: float) -> float:
        return NAMES + inner * chart.height(value)

    found = [f'<svg viewBox="0 0 {CHART_WIDTH} {height}" role="img" aria-label="{escape(chart.title)}">']
    for number, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        y = number * ROW
        assert value is not None
        begin, end = min(x(0), x(value)), max(x(0), x(value))
        found.append(f'<text x="{NAMES - 8}" y="{y + 17}" text-anchor="end">{escape(short(label))}</text>')
        found.append(
            f'<rect class="bar" x="{begin:.1f}" y="{y + 4}" width="{max(0.5, end - begin):.1f}" height="{ROW - 8}"/>'
        )
        found.append(f'<text x="{end + 6:.1f}" y="{y + 17}">{cell_text(value, CellKind.NUMBER)}</text>')
    return "".join(found) + "</svg>"
