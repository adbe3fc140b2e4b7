"""A report as PDF: A4, with its charts drawn and its fonts in it.

Letters of scripts that no font here has are shown as `?`, and a line says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, TextEmphasis, XPos, YPos

from greenpower.reports.chart import BarChart, days_chart, line_text, short, zones_chart
from greenpower.reports.fonts import NOT_SHOWN, SYSTEM_FONTS, base_fonts, characters_of, fonts_for, missing
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

FAMILY = "report"
INK, MUTED, GREEN, LINE, PAPER = (28, 39, 51), (91, 104, 117), (47, 143, 91), (217, 224, 230), (255, 255, 255)
MARGIN, TEXT_SIZE, SMALL_SIZE = 15.0, 9, 7
COLUMNS_HEIGHT, SCALE_WIDTH, LABEL_HEIGHT = 45.0, 16.0, 5.0
ROW_HEIGHT, NAME_WIDTH, VALUE_WIDTH = 6.0, 55.0, 24.0
NO_LETTERS = "Some letters cannot be shown: this machine has no font for them (docs/reports.md says how to add one)."


class _Pages(FPDF):
    """Pages with a footer."""

    title_text = ""

    def footer(self) -> None:
        self.set_y(-10)
        self.set_font(FAMILY, size=SMALL_SIZE)
        self.set_text_color(*MUTED)
        self.cell(0, 4, self.title_text, align="L")
        self.cell(0, 4, f"{self.page_no()} / {{nb}}", align="R")


class _Text:
    """What can be shown of a text."""

    def __init__(self, known: set[int]) -> None:
        self._known = known
        self.lost = False

    def __call__(self, text: str) -> str:
        gone = missing(text, self._known)
        if not gone:
            return text
        self.lost = True
        return "".join(NOT_SHOWN if ord(character) in gone else character for character in text)


def write_pdf(report: Report, fonts: Path | None = None) -> bytes:
    """The file. fonts: a folder with further fonts."""
    pdf = _Pages(format="A4")
    pdf.set_margins(MARGIN, MARGIN)
    pdf.set_auto_page_break(True, MARGIN)
    show = _set_fonts(pdf, report, fonts)
    pdf.title_text = show(short(report.title, 100))
    pdf.set_title(report.title)
    pdf.set_creator("Green Power")
    pdf.add_page()
    _heading(pdf, show, report)
    _table(pdf, show, summary_table(report))
    if not report.is_empty:
        _chart_title(pdf, days_chart(report), COLUMNS_HEIGHT)
        _columns(pdf, days_chart(report))
    zones = zones_chart(report)
    if zones is not None:
        _chart_title(pdf, zones, ROW_HEIGHT * 3)
        _rows(pdf, show, zones)
    _table(pdf, show, zones_table(report))
    _table(pdf, show, points_table(report))
    _lines(pdf, show, honesty_lines(report))
    if report.days and not report.is_empty:
        _table(pdf, show, days_table(report))
    if show.lost:
        _paragraph(pdf, NO_LETTERS, MUTED)
    return bytes(pdf.output())


def _set_fonts(pdf: FPDF, report: Report, folder: Path | None) -> _Text:
    """Give the pages the fonts that they need. Returns what can be shown with them."""
    plain, bold = base_fonts()
    pdf.add_font(FAMILY, "", str(plain))
    pdf.add_font(FAMILY, "B", str(bold))
    known = set(characters_of(plain))
    text = _all_text(report)
    folders = [SYSTEM_FONTS] if folder is None else [folder, SYSTEM_FONTS]
    further = []
    for number, font in enumerate(fonts_for(missing(text, known), folders)):
        pdf.add_font(f"further{number}", "", str(font))
        further.append(f"further{number}")
        known |= characters_of(font)
    if further:
        pdf.set_fallback_fonts(further, exact_match=False)
    pdf.set_text_shaping(True)
    return _Text(known)


def _all_text(report: Report) -> str:
    names = [report.scope, *(zone.name for zone in report.zones), *(peak.point for peak in report.peaks)]
    return "".join([*names, *(point.name + point.zone for point in report.points)])


def _heading(pdf: FPDF, show: _Text, report: Report) -> None:
    pdf.set_font(FAMILY, "B", 16)
    pdf.set_text_color(*INK)
    pdf.multi_cell(0, 8, show(report.title), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    _paragraph(pdf, period_line(report), MUTED)


def _paragraph(pdf: FPDF, text: str, color: tuple[int, int, int] = INK) -> None:
    pdf.set_font(FAMILY, size=TEXT_SIZE)
    pdf.set_text_color(*color)
    pdf.multi_cell(0, 5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _title(pdf: FPDF, text: str, room: float) -> None:
    """A heading that stays with what follows."""
    if pdf.will_page_break(12 + room):
        pdf.add_page()
    pdf.ln(4)
    pdf.set_font(FAMILY, "B", 11)
    pdf.set_text_color(*GREEN)
    pdf.cell(0, 7, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _chart_title(pdf: FPDF, chart: BarChart, room: float) -> None:
    _title(pdf, f"{chart.title} ({chart.unit})", room)


def _table(pdf: FPDF, show: _Text, table: ReportTable) -> None:
    _title(pdf, table.title, 14)
    if not table.rows:
        _paragraph(pdf, table.empty, MUTED)
        return
    pdf.set_font(FAMILY, size=SMALL_SIZE + 0.5)
    pdf.set_text_color(*INK)
    pdf.set_draw_color(*LINE)
    pdf.set_fill_color(*PAPER)
    aligns = tuple("LEFT" if column.kind is CellKind.TEXT else "RIGHT" for column in table.columns)
    with pdf.table(
        col_widths=tuple(column.width for column in table.columns),
        text_align=aligns,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis=TextEmphasis.B, color=MUTED),
        line_height=4.2,
        padding=(0.7, 1),
    ) as drawn:
        heading = drawn.row()
        for column in table.columns:
            heading.cell(column.heading)
        for row in table.rows:
            line = drawn.row()
            for cell, column in zip(row, table.columns, strict=True):
                line.cell(show(cell_text(cell, column.kind)))


def _columns(pdf: FPDF, chart: BarChart) -> None:
    """Upright bars over a scale."""
    left, top, width = pdf.l_margin + SCALE_WIDTH, pdf.get_y() + 2, pdf.epw - SCALE_WIDTH
    inner = COLUMNS_HEIGHT - LABEL_HEIGHT - 2

    def y(value: float) -> float:
        return top + inner * (1 - chart.height(value))

    pdf.set_font(FAMILY, size=SMALL_SIZE)
    pdf.set_text_color(*MUTED)
    pdf.set_draw_color(*LINE)
    for line in chart.lines:
        pdf.line(left, y(line), left + width, y(line))
        pdf.set_xy(pdf.l_margin, y(line) - 2)
        pdf.cell(SCALE_WIDTH - 1.5, 4, line_text(line), align="R")
    step = width / max(1, len(chart.values))
    pdf.set_fill_color(*GREEN)
    for number, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        x = left + number * step
        if value is not None:
            pdf.rect(x + step * 0.15, min(y(value), y(0)), step * 0.7, abs(y(value) - y(0)), style="F")
        pdf.set_xy(x, top + inner + 0.5)
        pdf.cell(step, LABEL_HEIGHT - 1, label, align="C")
    pdf.set_xy(pdf.l_margin, top + COLUMNS_HEIGHT - 2)


def _rows(pdf: FPDF, show: _Text, chart: BarChart) -> None:
    """Lying bars, with their names and values."""
    left, width = pdf.l_margin + NAME_WIDTH, pdf.epw - NAME_WIDTH - VALUE_WIDTH
    pdf.set_font(FAMILY, size=SMALL_SIZE + 0.5)
    pdf.set_text_color(*INK)
    pdf.set_fill_color(*GREEN)
    for label, value in zip(chart.labels, chart.values, strict=True):
        assert value is not None
        if pdf.will_page_break(ROW_HEIGHT):
            pdf.add_page()
            pdf.set_font(FAMILY, size=SMALL_SIZE + 0.5)
            pdf.set_text_color(*INK)
        y = pdf.get_y()
        begin, end = sorted((left + width * chart.height(0), left + width * chart.height(value)))
        pdf.set_xy(pdf.l_margin, y)
        pdf.cell(NAME_WIDTH - 2, ROW_HEIGHT, _fitting(pdf, show(label), NAME_WIDTH - 4), align="R")
        pdf.rect(begin, y + 1, max(0.3, end - begin), ROW_HEIGHT - 2, style="F")
        pdf.set_xy(end + 1, y)
        pdf.cell(VALUE_WIDTH, ROW_HEIGHT, cell_text(value, CellKind.NUMBER), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _fitting(pdf: FPDF, text: str, width: float) -> str:
    """As much of a text as a width has room for."""
    shown = text
    while shown and pdf.get_string_width(shown) > width:
        text = text[:-1]
        shown = f"{text}…"
    return shown


def _lines(pdf: FPDF, show: _Text, lines: Sequence[str]) -> None:
    _title(pdf, "How good these figures are", 10)
    for line in lines:
        _paragraph(pdf, show(f"• {line}"))
