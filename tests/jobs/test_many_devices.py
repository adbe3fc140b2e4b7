"""The jobs of devices with thousands of ids that were heard once: they stay quick, and write in small transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from sqlalchemy import event, func, select

from greenpower.catalog.registry import load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.jobs.device_registration import WITHOUT_LIMIT, RegistrationRules, expire
from greenpower.jobs.device_sync import Synced, sync_devices
from greenpower.jobs.presence import _judge_and_tell, record
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, LISTENING, SEEN, ensure_indexes
from greenpower.sql import Device, DeviceStatusChange
from greenpower.sql.confirmation import MAX_ROWS_PER_COMMIT
from greenpower.sql.session import sql_session

# What a part of a job may take of its 120 s: each id takes a millisecond at most, and other tests take their time.
SECONDS_PER_DEVICE = 0.001
BUSY_SECONDS = 60.0


class Watch:
    """Measures parts of a test. seconds: {part: how long it took}."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_the_jobs_stay_quick(
    sql_settings: Settings, mongo_uri: str, mongo_name: str, redis_url: str, count: int
) -> None:
    changes = {"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name, "redis_url": SecretStr(redis_url)}
    settings = sql_settings.model_copy(update=changes)
    init_sql(settings)
    registry, watch, rows = load_registry(None), Watch(), [0]
    with MongoClient[Document](mongo_uri, tz_aware=True) as client, sql_session(settings) as session:
        db = client[mongo_name]
        ensure_indexes(db, registry, settings)
        at = datetime.now(UTC) - timedelta(hours=1)
        db[LISTENING].insert_one({"sources": ["mqtt"], "since": at, "until": datetime.now(UTC)})
        heard = {"type": "rt", "first_seen": at, "last_heard": at, "last_reading": at}
        db[SEEN].insert_many({"_id": f"rt|X{one}", "device_id": f"X{one}", **heard} for one in range(count))
        bind = session.get_bind()
        largest: list[int] = []

        def count_rows(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            if not statement.lstrip().upper().startswith("SELECT"):
                rows[0] += max(cursor.rowcount, 0)

        def end_of_transaction(_connection: Any) -> None:
            largest.append(rows[0])
            rows[0] = 0

        event.listen(bind, "after_cursor_execute", count_rows)
        event.listen(bind, "commit", end_of_transaction)
        with watch.part("register"):
            assert sync_devices(session, db, WITHOUT_LIMIT).registered == count
        with watch.part("register again"):
            assert sync_devices(session, db, WITHOUT_LIMIT) == Synced(registered=0, written=0)
        with watch.part("judge"):
            judged = asyncio.run(_judge_and_tell(settings, tuple(registry)))
        assert sum(item.changed for item in judged) == count
        with watch.part("record"):
            assert record(session, judged) == count
        with watch.part("judge again"):
            judged = asyncio.run(_judge_and_tell(settings, tuple(registry)))
        with watch.part("record again"):
            assert record(session, judged) == 0
        assert session.scalar(select(func.count()).select_from(DeviceStatusChange)) == count
        with watch.part("after statuses"):
            # A status is no change of the registration: nothing is written again.
            assert sync_devices(session, db, WITHOUT_LIMIT) == Synced(registered=0, written=0)
        with watch.part("expire"):
            rules, later = RegistrationRules(expires=timedelta(hours=1)), datetime.now(UTC) + timedelta(hours=2)
            assert expire(session, db, rules, ["rt"], later) == count
        with watch.part("cache"):
            assert sync_devices(session, db, rules).written == count
        assert session.scalar(select(func.count()).select_from(Device)) == 0 == db[SEEN].count_documents({})
        assert db[DEVICE_SETTINGS].count_documents({"registered": True}) == 0
    # Of a device, a transaction writes a row, one for its type, or one for its history.
    assert largest and max(largest) <= 2 * MAX_ROWS_PER_COMMIT
    slow = {
        name: seconds for name, seconds in watch.seconds.items() if seconds > BUSY_SECONDS + count * SECONDS_PER_DEVICE
    }
    assert not slow, watch.seconds
    print(watch.seconds)
