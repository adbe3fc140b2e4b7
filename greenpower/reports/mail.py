"""Reports that are due by schedules: made, put into the outbox once, and noted.

A run that is killed after putting and before noting puts the same notices again: by their keys they are there once.
What does not belong here: where figures come from (`ReportSource`, which the worker is given), sending.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pymongo.database import Database
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.config import ConfigError
from greenpower.energy.calendar import Unit
from greenpower.mongo.client import Document
from greenpower.notify.notice import Attachment, Notice, NoticeError, NoticeSeverity
from greenpower.notify.put import put
from greenpower.reports.form import ReportForm, render_report
from greenpower.reports.period import ReportPeriod, due_periods
from greenpower.reports.report import Report
from greenpower.reports.table import cell_text, honesty_lines, period_line, summary_table
from greenpower.sql import ReportSchedule

log = logging.getLogger(__name__)

TOO_LARGE = "The files of this report are too large to be sent: fetch them from the API or the console."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledReport:
    """What a schedule asks for."""

    period: ReportPeriod
    zone_id: int | None
    carrier: str


# Makes a report. Raises ConfigError where it cannot be made, with a text for people.
ReportSource = Callable[[ScheduledReport], Report]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMailer:
    """What a run needs. fonts: a folder with further fonts."""

    session: Session
    db: Database[Document]
    redis: Redis | None
    source: ReportSource
    zone: ZoneInfo
    fonts: Path | None = None

    def due(self, now: datetime) -> list[tuple[ReportSchedule, ReportPeriod]]:
        """What is due, each schedule's oldest first. Raises SQLAlchemyError."""
        enabled = select(ReportSchedule).where(ReportSchedule.enabled).order_by(ReportSchedule.id)
        return [
            (schedule, period)
            for schedule in self.session.scalars(enabled)
            for period in due_periods(
                now, Unit(schedule.period), self.zone, since=schedule.created_at, done=schedule.reported_until
            )
        ]

    def run(self, now: datetime) -> int:
        """Put what is due into the outbox. Returns how many reports. Raises the errors of the databases."""
        made = 0
        for schedule, period in self.due(now):
            put(self.db, self._notices(schedule, period), now=now, redis=self.redis)
            schedule.reported_until = period.end
            self.session.commit()
            made += 1
        return made

    def _notices(self, schedule: ReportSchedule, period: ReportPeriod) -> list[Notice]:
        """One for each channel; of a report that cannot be made, why."""
        asked = ScheduledReport(period=period, zone_id=schedule.zone_id, carrier=schedule.carrier)
        files: tuple[Attachment, ...] = ()
        severity = NoticeSeverity.INFO
        try:
            report = self.source(asked)
            subject, text = report.title, report_text(report)
            files = attach(report, [ReportForm(form) for form in schedule.formats], self.fonts)
        except ConfigError as error:
            subject, text = f"The report {period.name} of {schedule.name} could not be made", str(error)
            severity = NoticeSeverity.WARNING
        key = f"report/{schedule.id}/{period.name}"
        notices = [
            Notice(key=key, channel_id=channel, subject=subject, text=text, severity=severity, attachments=files)
            for channel in schedule.channels
        ]
        try:
            for notice in notices:
                notice.document(period.end)
        except NoticeError:
            text = f"{text}\n\n{TOO_LARGE}"
            return [
                Notice(key=key, channel_id=channel, subject=subject, text=text, severity=severity)
                for channel in schedule.channels
            ]
        return notices


def report_text(report: Report) -> str:
    """The text of a mail: the summary, and how good it is."""
    table = summary_table(report)
    lines = [
        f"{row[0]}: {cell_text(row[2], table.columns[2].kind)} {row[1]}" + (f" ({row[4]})" if row[4] else "")
        for row in table.rows
    ]
    return "\n".join([period_line(report), "", *lines, "", *honesty_lines(report)])


def attach(report: Report, forms: Sequence[ReportForm], fonts: Path | None) -> tuple[Attachment, ...]:
    """The files of a report."""
    made = [render_report(report, form, fonts=fonts) for form in forms]
    return tuple(Attachment(name=file.name, media_type=file.media_type, data=file.data) for file in made)
