"""What arrives for archived months: duplicates and conflicts are told as ever; a replay asks for the month first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.archive.bring_back import BringBack, may_be_archived
from greenpower.archive.hold import MonthArchivedError, hold_months
from greenpower.archive.restore import restore_month
from greenpower.config import Settings
from greenpower.ingest.steps.storing import Storing
from greenpower.mongo.archive.manifest import ManifestTakenError, take_month
from greenpower.mongo.client import Document, async_client
from greenpower.mongo.readings.store import Fragment, merge_fragments
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST
from tests.archive.world import MARCH, MAY, NOW, archive, archiving, everything, fill, held
from tests.process import environment
from tests.rollups.world import POWER

Told = list[tuple[bool, tuple[str, ...]]]


def fragment(device: str, at: datetime, payload: dict[str, Any]) -> Fragment:
    return Fragment(device, f"T/{device}", at, NOW, payload, complete=True)


def store(settings: Settings, fragments: Sequence[Fragment]) -> Told:
    """Store fragments as ingest does. Returns which were new, and which keys had another value."""

    async def go() -> None:
        late = BringBack(settings, (POWER,))
        async with async_client(settings) as client:
            db = client[settings.mongo_db_name]
            storing = Storing(db, {POWER.name: POWER.collection}, timedelta(seconds=10), lambda _: None, late)
            await storing._write(POWER.name, merge_fragments(list(fragments)))
        late.close()

    asyncio.run(go())
    return [(one.new, one.conflicts) for one in fragments]


def late_fragments() -> list[Fragment]:
    later = MARCH + timedelta(minutes=15)
    return [
        fragment("D1", MARCH, {"c": 0}),  # there
        fragment("D1", later, {"c": 999_999}),  # another value
        fragment("D2", MARCH + timedelta(minutes=1), {"fresh": 1.5}),  # one more key
        fragment("D2", later + timedelta(seconds=30), {"c": 5}),  # a reading that was not there
        fragment("D9", later, {"c": 5}),  # a device that is new
        fragment("D1", NOW, {"c": 5}),  # young
    ]


def test_late_readings_meet_the_archived_ones(db: Database[Document], settings: Settings) -> None:
    documents = fill(db)
    plain = store(settings, late_fragments())
    whole = everything(db, settings)
    db[POWER.collection].delete_many({})
    db[POWER.collection].insert_many(documents)
    archive(db, settings)
    assert archive(db, settings).deleted == 240
    assert store(settings, late_fragments()) == plain
    assert [new for new, _ in plain] == [False, False, True, True, True, True]
    assert plain[1][1] == ("c",)
    seen = everything(db, settings)
    assert len(seen) == len(whole)  # every key once
    # The next runs take over what came.
    archive(db, settings)
    archive(db, settings)
    assert everything(db, settings) == seen
    assert held(db, MARCH, MAY) == 1  # the newest reading of a device stays
    again = store(settings, late_fragments())
    assert [new for new, _ in again] == [False] * 6


def test_only_what_is_old_is_looked_up() -> None:
    assert may_be_archived(NOW - timedelta(days=8), NOW)
    assert not may_be_archived(NOW - timedelta(days=6), NOW)


def test_a_replay_of_an_archived_month_asks_for_it(db: Database[Document], settings: Settings) -> None:
    fill(db)
    using = archiving(settings)
    with hold_months(db, POWER, using, MARCH, MAY, NOW), pytest.raises(ManifestTakenError):
        archive(db, settings)  # no run archives what is replayed
    archive(db, settings)
    with pytest.raises(MonthArchivedError), hold_months(db, POWER, using, MARCH, MAY, NOW):
        pass
    with hold_months(db, POWER, using, MAY, NOW, NOW):
        pass  # nothing of it is archived
    restore_month(db, POWER, using, MARCH)
    until = MARCH + timedelta(days=20)
    with hold_months(db, POWER, using, MARCH, until, NOW):
        pass
    assert take_month(db[ARCHIVE_MANIFEST], POWER.name, MARCH, "somebody")["owner"] == "somebody"


READ_WITHOUT_ARCHIVE = """
import sys
from datetime import UTC, datetime
from greenpower.archive.bring_back import BringBack
from greenpower.archive.database import open_database
from greenpower.config import load_settings
from greenpower.mongo.client import sync_client
from tests.rollups.world import POWER
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
settings = load_settings()
with sync_client(settings) as client:
    db = open_database(client, settings, (POWER,))
    assert type(db[POWER.collection]).__name__ == "Collection"
    assert db[POWER.collection].find_one({"timestamp": {"$gte": MARCH}}) is not None
late = BringBack(settings, (POWER,))
assert late.bring_back(POWER.name, [("D1", MARCH)]) == 0
assert not [name for name in sys.modules if name.split(".")[0] == "pyarrow"], "pyarrow"
"""


def test_without_an_archive_pyarrow_is_not_loaded(db: Database[Document], settings: Settings) -> None:
    fill(db)
    done = subprocess.run(
        [sys.executable, "-c", READ_WITHOUT_ARCHIVE],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
