"""Schedules: the month's report goes to a real mail server with PDF and XLSX attached, once, also after a kill."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from pymongo.database import Database
from sqlalchemy.orm import Session

from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.energy.calendar import Unit
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.channels import find_target
from greenpower.notify.deliver import deliver
from greenpower.notify.send import NoticeSender
from greenpower.reports import mail
from greenpower.reports.mail import TOO_LARGE, ReportMailer, ScheduledReport
from greenpower.reports.period import SETTLES_AFTER, last_ended, period_at
from greenpower.reports.report import Report
from greenpower.sql import NotificationChannel, ReportSchedule
from greenpower.sql.session import sql_session
from tests.kept_database import kept_name, module_database  # noqa: F401 - fixtures
from tests.notify.receivers import smtp_server
from tests.reports.made import make_report
from tests.reports.test_form import pdf_text

MADE = datetime(2026, 10, 10, tzinfo=UTC)


@pytest.fixture
def mongo_name(kept_name: str) -> str:  # noqa: F811
    return kept_name


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture
def session(settings: Settings, home: Path) -> Iterator[Session]:
    using = settings.model_copy(update={"greenpower_home": home})
    init_sql(using)
    with sql_session(using) as session:
        yield session
        for model in (ReportSchedule, NotificationChannel):
            for row in session.query(model):
                session.delete(row)
        session.commit()


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        yield client[settings.mongo_db_name]


class Mailer:
    """A mailer whose reports are made up. asked: what was asked for."""

    def __init__(self, session: Session, db: Database[Document], settings: Settings) -> None:
        self.session, self.db, self.zone = session, db, ZoneInfo(settings.device_timezone)
        self.asked: list[ScheduledReport] = []
        self.fault = ""

    def schedule(
        self, *channels: int, unit: Unit = Unit.MONTH, formats: tuple[str, ...] = ("pdf", "xlsx")
    ) -> ReportSchedule:
        row = ReportSchedule(
            name=f"schedule {unit}", period=unit.value, carrier="electricity", channels=list(channels),
            formats=list(formats), created_at=MADE,
        )  # fmt: skip
        self.session.add(row)
        self.session.commit()
        return row

    def make(self, asked: ScheduledReport) -> Report:
        self.asked.append(asked)
        if self.fault:
            raise ConfigError(self.fault)
        return make_report(name=asked.period.name)

    def run(self, now: datetime) -> int:
        mailer = ReportMailer(session=self.session, db=self.db, redis=None, source=self.make, zone=self.zone)
        return mailer.run(now)


@pytest.fixture
def mailer(session: Session, db: Database[Document], settings: Settings) -> Mailer:
    return Mailer(session, db, settings)


def settled(moment: datetime, mailer: Mailer, unit: Unit = Unit.MONTH) -> datetime:
    """When the period of a moment is due."""
    return period_at(moment, unit, mailer.zone).end + SETTLES_AFTER


def test_the_months_report_arrives_with_pdf_and_xlsx(mailer: Mailer) -> None:
    report = make_report()
    with smtp_server() as box:
        channel = NotificationChannel(name="board", url=box.url)
        mailer.session.add(channel)
        mailer.session.commit()
        mailer.schedule(channel.id)
        now = settled(MADE, mailer)
        assert mailer.run(now - timedelta(seconds=1)) == 0
        assert mailer.run(now) == 1 and mailer.run(now + timedelta(days=1)) == 0
        sender = NoticeSender(
            outbox=mailer.db[NOTIFICATIONS],
            find=lambda number: find_target(mailer.session, number),
            send=deliver,
            now=lambda: now,
        )
        assert sender.run().messages == 1
        [sent] = box.mails
    files = {part.get_filename(): part.get_content() for part in sent.iter_attachments()}
    assert set(files) == {"energy-report-2026-10.pdf", "energy-report-2026-10.xlsx"}
    assert sent["Subject"] == report.title and "3 427.0" in pdf_text(files["energy-report-2026-10.pdf"])
    book = openpyxl.load_workbook(io.BytesIO(files["energy-report-2026-10.xlsx"]), data_only=True)
    assert list(book["Days"].values)[-1][1] == report.consumption.value
    text = sent.get_body(("plain",))
    assert text is not None and "123 456.79 BDT" in text.get_content() and "98.76 %" in text.get_content()


def test_killed_between_putting_and_noting_it_is_put_once(mailer: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = mailer.schedule(1, 2, formats=())
    now = settled(MADE, mailer)
    with monkeypatch.context() as patch:
        patch.setattr(mailer.session, "commit", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            mailer.run(now)
    mailer.session.rollback()
    assert mailer.run(now + timedelta(hours=1)) == 1
    kept = [
        (row["key"], row["channel_id"], row["created_at"]) for row in mailer.db[NOTIFICATIONS].find().sort("channel_id")
    ]
    assert kept == [(f"report/{schedule.id}/2026-10", channel, now) for channel in (1, 2)]


def test_what_was_missed_is_made_up_for_in_order(mailer: Mailer) -> None:
    mailer.schedule(1, unit=Unit.WEEK, formats=())
    assert mailer.run(settled(MADE + timedelta(days=7), mailer, Unit.WEEK)) == 2
    assert [asked.period.name for asked in mailer.asked] == ["2026-W41", "2026-W42"]
    assert last_ended(MADE, Unit.WEEK, mailer.zone).name == "2026-W40"


def test_a_report_that_cannot_be_made_is_told_and_not_tried_again(mailer: Mailer) -> None:
    mailer.schedule(1)
    mailer.fault = "too much at once"
    now = settled(MADE, mailer)
    assert mailer.run(now) == 1 and mailer.run(now) == 0
    row = mailer.db[NOTIFICATIONS].find_one()
    assert row is not None and (row["severity"], row["text"]) == ("warning", "too much at once")


def test_files_that_are_too_large_are_left_out_and_told(mailer: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenpower.notify.notice.MAX_ATTACHED_BYTES", 10)
    mailer.schedule(1, formats=("html",))
    mailer.run(settled(MADE, mailer))
    row = mailer.db[NOTIFICATIONS].find_one()
    assert row is not None and row["attachments"] == [] and row["text"].endswith(TOO_LARGE)
    assert mail.attach(make_report(), [], None) == ()
