"""The job that sends notices: a worker of its own process, back-off through the schedule, and who imports apprise."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.cli.jobs import job_entries
from greenpower.config import Settings
from greenpower.jobs import notify
from greenpower.jobs.notify import notify_entry
from greenpower.jobs.schedule import JobScheduler, run_by
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.notice import Notice
from greenpower.notify.put import put
from greenpower.sql import NotificationChannel
from greenpower.sql.session import sql_session
from tests.notify.receivers import webhook_server
from tests.process import Command
from tests.wait import wait_until

# apprise takes 20 MB and a third of a second: only a worker that has something to send pays for it.
WITHOUT_APPRISE = (
    "greenpower.app", "greenpower.cli.jobs", "greenpower.cli.ingest", "greenpower.cli.realtime", "greenpower.cli.main",
    "greenpower.cli.notify", "greenpower.cli.preloaded", "greenpower.notify.send", "greenpower.notify.put",
)  # fmt: skip


def test_only_a_worker_that_has_something_to_send_imports_apprise() -> None:
    code = f"import sys, {', '.join(WITHOUT_APPRISE)}\nassert 'apprise' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_turn_comes_sooner_and_never_later(connection: redis.Redis, settings: Settings) -> None:
    entry = notify_entry()
    assert entry in job_entries(get_registry(), settings, connection)
    now = datetime.now(UTC)
    run_by(connection, entry, now)
    assert not connection.zcard(JobScheduler.scheduled_jobs_key)
    connection.zadd(JobScheduler.scheduled_jobs_key, {entry.id: now.timestamp() + 300})
    for seconds, wanted in ((400, 300), (30, 30), (60, 30)):
        run_by(connection, entry, now + timedelta(seconds=seconds))
        score = connection.zscore(JobScheduler.scheduled_jobs_key, entry.id)
        assert score is not None and float(score) == pytest.approx(now.timestamp() + wanted)


def test_with_nothing_to_send_a_run_looks_and_ends(connection: redis.Redis, settings: Settings) -> None:
    assert notify.work() == "nothing waits"


def test_a_worker_sends_what_is_put_and_tries_again_what_fails(
    connection: redis.Redis, settings: Settings, tmp_path: Path
) -> None:
    init_sql(settings)
    with (
        webhook_server() as hook,
        MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as mongo,
        sql_session(settings) as session,
    ):
        db = mongo[settings.mongo_db_name]
        channel = NotificationChannel(name="hook", url=hook.url)
        session.add(channel)
        session.commit()
        with Command(settings, "worker", folder=tmp_path):
            notices = [Notice(key=f"n{number}", channel_id=channel.id, subject="s", text="t") for number in range(9)]
            put(db, notices, now=datetime.now(UTC), redis=connection)
            wait_until(lambda: db[NOTIFICATIONS].count_documents({"state": "sent"}) == 9, 30)
        assert len(hook.got) == 1 and hook.got[0]["title"].startswith("9 notices")
        hook.status = 500
        connection.zadd(JobScheduler.scheduled_jobs_key, {notify_entry().id: datetime.now(UTC).timestamp() + 300})
        put(db, [Notice(key="late", channel_id=channel.id, subject="s", text="t")], now=datetime.now(UTC), redis=None)
        assert notify.work() == "0 messages sent, 1 failed, 0 notices given up"
        row = db[NOTIFICATIONS].find_one({"key": "late"})
        score = connection.zscore(JobScheduler.scheduled_jobs_key, notify_entry().id)
        assert row is not None and score is not None
        assert abs(float(score) - row["next_try"].timestamp()) < 1
