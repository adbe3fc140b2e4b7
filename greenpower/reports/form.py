"""The forms of a report: which there are, and making a file of one. Each form's library is imported when it is used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from greenpower.reports.report import Report

NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9]+")
MAX_SCOPE_IN_NAME = 40
# In GREENPOWER_HOME.
FONTS_FOLDER = "fonts"


class ReportForm(StrEnum):
    """A form of a report."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    XLSX = "xlsx"


MEDIA_TYPES = {
    ReportForm.JSON: "application/json",
    ReportForm.HTML: "text/html",
    ReportForm.PDF: "application/pdf",
    ReportForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A report as a file."""

    name: str
    media_type: str
    data: bytes


def render_report(report: Report, form: ReportForm, *, fonts: Path | None = None) -> ReportFile:
    """A report in a form. fonts: a folder with further fonts for PDF."""
    if form is ReportForm.HTML:
        from greenpower.reports.page import write_page

        data = write_page(report).encode()
    elif form is ReportForm.PDF:
        from greenpower.reports.pdf import write_pdf

        data = write_pdf(report, fonts)
    elif form is ReportForm.XLSX:
        from greenpower.reports.workbook import write_workbook

        data = write_workbook(report)
    else:
        data = orjson.dumps(report.document(), option=orjson.OPT_INDENT_2)
    return ReportFile(name=file_name(report, form), media_type=MEDIA_TYPES[form], data=data)


def file_name(report: Report, form: ReportForm) -> str:
    """The name of a file, of letters, digits and `-`."""
    scope = NOT_IN_FILE_NAMES.sub("-", report.scope).strip("-")[:MAX_SCOPE_IN_NAME].strip("-").lower()
    parts = ("energy-report", report.name, scope)
    return f"{'-'.join(filter(None, parts))}.{form.value}"
