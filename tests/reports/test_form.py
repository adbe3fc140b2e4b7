"""How reports look: what PDF, XLSX and the page say is what the report says, whatever the names are."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import openpyxl
import pypdfium2
import pytest

from greenpower.reports import pdf as pdf_module
from greenpower.reports.form import MEDIA_TYPES, ReportForm, file_name, render_report
from greenpower.reports.report import Report, change_text, number_text
from greenpower.reports.table import points_table, summary_table, zones_table
from tests.reports.made import BENGALI, GERMAN, LONG, make_empty, make_report


def pdf_text(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        pages = []
        for page in document:
            text = page.get_textpage()
            pages.append(text.get_text_range())
            text.close()
            page.close()
        return " ".join(" ".join(pages).split())
    finally:
        document.close()


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


def test_the_pdf_says_what_the_report_says(report: Report) -> None:
    file = render_report(report, ReportForm.PDF)
    text = pdf_text(file.data)
    for number in ("3 427.0", "123 456.79", "-12.50", "1 234.57", "84.2", "98.76 %", "2 h 01 min", "-1.25 kWh"):
        assert number in text, number
    for day in report.days:
        assert f"{day.day} {number_text(day.energy)}" in text
    assert GERMAN in text and "Hall <1>" in text and "=1+2" in text and report.title in text
    # Long names are broken, and whole.
    assert LONG.replace(" ", "") in text.replace(" ", "")
    assert "?" not in text


def test_pages_have_ink_and_letters_of_other_scripts_are_drawn(report: Report) -> None:
    def ink(data: bytes) -> int:
        document = pypdfium2.PdfDocument(data)
        page = document[0]
        picture = page.render(scale=1).to_pil().convert("L")
        page.close()
        document.close()
        assert picture.size == (596, 842)
        return sum(1 for pixel in picture.tobytes() if pixel < 128)

    with_bars = ink(render_report(report, ReportForm.PDF).data)
    without = ink(render_report(make_report(days=[], zones=[]), ReportForm.PDF).data)
    assert with_bars > 2 * without > 1_000


def test_letters_without_a_font_are_told(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_module, "SYSTEM_FONTS", tmp_path)
    text = pdf_text(render_report(make_report(scope="ᏣᎳᎩ 🂡"), ReportForm.PDF, fonts=tmp_path / "none").data)
    assert "??? ?" in text and "docs/reports.md" in text
    assert "docs/reports.md" not in pdf_text(render_report(report, ReportForm.PDF).data)


def test_the_workbook_has_the_numbers_and_names_never_become_formulas(report: Report) -> None:
    data = render_report(report, ReportForm.XLSX).data
    book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    assert book.sheetnames == ["Summary", "Days", "Zones", "Meter points"]
    days = list(book["Days"].iter_rows(min_row=2, values_only=True))
    assert [(row[0], row[1]) for row in days[:-1]] == [(day.day, day.energy) for day in report.days]
    assert days[-1][:2] == ("Sum", report.consumption.value)
    zones = list(book["Zones"].iter_rows(min_row=2, max_col=4, values_only=True))
    assert [row[:2] for row in zones] == [(zone.name, zone.energy) for zone in report.zones]
    assert [row[2:] for row in zones] == [pytest.approx((zone.share, zone.previous)) for zone in report.zones]
    points = list(book["Meter points"].iter_rows(min_row=2, max_col=4, values_only=True))
    assert points == [(point.name, point.role, point.zone, point.energy) for point in report.points]
    summary = {row[0]: row[2] for row in book["Summary"].iter_rows(min_row=5, max_col=3, values_only=True)}
    assert summary["Consumption"] == report.consumption.value and summary["CO2"] == float(report.kg or 0)
    formulas = openpyxl.load_workbook(io.BytesIO(data))
    cells = [cell for sheet in formulas for row in sheet.iter_rows() for cell in row]
    assert [cell.value for cell in cells if cell.data_type == "f"] == ["=SUM(B2:B32)"]
    assert [len(sheet._charts) for sheet in formulas] == [0, 1, 1, 0]


def test_the_page_escapes_names_and_has_no_scripts() -> None:
    evil = make_report(scope='<script>alert(1)</script>"&')
    text = render_report(evil, ReportForm.HTML).data.decode()
    assert "<script" not in text and "&lt;script&gt;" in text and "Hall &lt;1&gt;" in text
    assert BENGALI in text and LONG in text and "123 456.79" in text
    assert len(re.findall("<svg", text)) == 2 and not re.findall(r"https?://", text)
    rows = len(summary_table(evil).rows) + len(zones_table(evil).rows) + len(points_table(evil).rows) + len(evil.days)
    assert text.count("<tr>") == rows + 4


@pytest.mark.parametrize("form", ReportForm)
def test_an_empty_site_has_a_report(form: ReportForm) -> None:
    file = render_report(make_empty(), form)
    assert file.data and file.media_type == MEDIA_TYPES[form]
    if form is ReportForm.PDF:
        assert "There are no meter points" in pdf_text(file.data)


def test_names_of_files_are_plain() -> None:
    assert file_name(make_report(), ReportForm.PDF) == "energy-report-2026-10.pdf"
    assert file_name(make_report(scope='../a b"\r\n; x'), ReportForm.XLSX) == "energy-report-2026-10-a-b-x.xlsx"
    assert file_name(make_report(scope=BENGALI), ReportForm.HTML) == "energy-report-2026-10.html"


def test_numbers_for_people() -> None:
    assert [number_text(value) for value in (None, 0, -0.01, 1234.56, -1234.5)] == [
        "\u2013",
        "0.0",
        "0.0",
        "1 234.6",
        "-1 234.5",
    ]
    assert [change_text(1.1, 1), change_text(1, -2), change_text(1, 0), change_text(None, 1)] == [
        "+10.0 %",
        "+150.0 %",
        "",
        "",
    ]


def test_libraries_are_imported_when_a_form_needs_them() -> None:
    heavy = ("fpdf", "xlsxwriter", "fontTools", "PIL", "uharfbuzz")
    code = "import sys, greenpower.app, greenpower.cli.jobs, greenpower.cli.report, greenpower.reports.form\n"
    code += f"found = [name for name in {heavy} if name in sys.modules]\nassert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
