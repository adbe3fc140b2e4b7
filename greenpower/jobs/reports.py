"""The job that mails reports: it looks each quarter of an hour which are due, and makes those.

What belongs here: the entry and its connections. What does not: what is due, and mailing (`greenpower.reports.mail`).
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from redis import Redis

from greenpower.config import load_settings
from greenpower.jobs.schedule import Entry
from greenpower.mongo.client import sync_client
from greenpower.reports.form import FONTS_FOLDER
from greenpower.reports.mail import ReportMailer, ReportSource
from greenpower.sql.session import sql_session

REPORTS_EVERY_SECONDS = 900
REPORTS_JOB_SECONDS = 1_800
# What the worker is given: figures are asked of the API's code, which jobs do not know.
_sources: list[ReportSource] = []


def set_report_source(source: ReportSource) -> None:
    """Say what makes reports, before jobs are forked."""
    _sources[:] = [source]


def reports_entry() -> Entry:
    """The job, each quarter of an hour."""
    return Entry(
        name="reports",
        function="greenpower.jobs.reports.work",
        args=(),
        every=REPORTS_EVERY_SECONDS,
        timeout=REPORTS_JOB_SECONDS,
    )


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run goes on."""
    settings = load_settings()
    with (
        sql_session(settings) as session,
        closing(Redis.from_url(settings.need("REDIS_URL"))) as redis,
        sync_client(settings, appname="greenpower-worker") as client,
    ):
        mailer = ReportMailer(
            session=session,
            db=client[settings.mongo_db_name],
            redis=redis,
            source=_sources[0],
            zone=ZoneInfo(settings.device_timezone),
            fonts=settings.greenpower_home / FONTS_FOLDER,
        )
        return f"{mailer.run(datetime.now(UTC))} reports"
