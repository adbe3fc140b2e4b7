"""Putting notices: once for each key and channel, woken once, and what cannot be kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database
from redis import Redis

from greenpower.bus.job_queue import JsonQueue
from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.notice import (
    MAX_ATTACHED_BYTES,
    MAX_SUBJECT_LENGTH,
    MAX_TEXT_LENGTH,
    Attachment,
    Notice,
    NoticeError,
)
from greenpower.notify.put import NOTIFY_JOB, NOTIFY_QUEUE, forget_wake_up, put
from tests.kept_database import kept_name, module_database  # noqa: F401 - fixtures

T0 = datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.fixture
def mongo_name(kept_name: str) -> str:  # noqa: F811
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        yield client[settings.mongo_db_name]


def notice(key: str = "alarm/1/1", channel: int = 1, **more: object) -> Notice:
    return Notice(**{"key": key, "channel_id": channel, "subject": "High power", "text": "t", **more})  # type: ignore[arg-type]


def test_a_notice_is_there_once_for_each_key_and_channel(db: Database[Document]) -> None:
    assert put(db, [notice(), notice(channel=2)], now=T0, redis=None) == 2
    later = T0 + timedelta(hours=1)
    again = [notice(subject="other"), notice("alarm/1/2"), notice("alarm/1/2")]
    assert put(db, again, now=later, redis=None) == 1
    kept = {
        (row["key"], row["channel_id"]): (row["subject"], row["created_at"], row["state"])
        for row in db[NOTIFICATIONS].find()
    }
    assert kept == {
        ("alarm/1/1", 1): ("High power", T0, "waiting"),
        ("alarm/1/1", 2): ("High power", T0, "waiting"),
        ("alarm/1/2", 1): ("High power", later, "waiting"),
    }
    assert put(db, [], now=T0, redis=None) == 0


def test_the_worker_is_woken_once_until_it_looks(db: Database[Document], settings: Settings) -> None:
    with Redis.from_url(settings.need("REDIS_URL")) as redis:
        queue = JsonQueue(NOTIFY_QUEUE, connection=redis)
        for number in range(5):
            put(db, [notice(f"a/{number}")], now=T0, redis=redis)
        put(db, [notice("a/0")], now=T0, redis=redis)
        assert [job.func_name for job in queue.jobs] == [NOTIFY_JOB]
        forget_wake_up(redis)
        put(db, [notice("a/0")], now=T0, redis=redis)  # nothing new
        assert len(queue.jobs) == 1
        put(db, [notice("a/9")], now=T0, redis=redis)
        assert len(queue.jobs) == 2


def test_redis_being_away_is_no_error(db: Database[Document]) -> None:
    with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2) as away:
        assert put(db, [notice()], now=T0, redis=away) == 1


def test_what_is_too_long_is_cut_and_what_is_too_large_is_refused(db: Database[Document]) -> None:
    put(db, [notice(subject="a\r\nBcc: x@example.org\x00" + "é" * 300, text="x" * 30_000)], now=T0, redis=None)
    kept = db[NOTIFICATIONS].find_one()
    assert kept is not None
    assert kept["subject"].startswith("a Bcc: x@example.org éé") and len(kept["subject"]) == MAX_SUBJECT_LENGTH
    assert len(kept["text"]) == MAX_TEXT_LENGTH
    large = Attachment(name="a.pdf", media_type="application/pdf", data=bytes(MAX_ATTACHED_BYTES // 2 + 1))
    with pytest.raises(NoticeError):
        put(db, [notice("b"), notice("c", attachments=(large, large))], now=T0, redis=None)
    for key in ("", "k" * 201):
        with pytest.raises(NoticeError):
            put(db, [notice(key)], now=T0, redis=None)
    assert db[NOTIFICATIONS].count_documents({}) == 1
