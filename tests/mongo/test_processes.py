"""Which processes use a database, and the mark of a restore that they keep away from."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo.database import Database

from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.processes import heartbeat
from greenpower.mongo.processes.alive import living_processes
from greenpower.mongo.processes.document import RestoreState
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.processes.identity import is_there, this_process
from greenpower.mongo.processes.mark import (
    RestoreLostError,
    begin_mark,
    decide,
    drop_staged,
    end_mark,
    read_mark,
    refuse_while_restoring,
)
from greenpower.mongo.schema.layout import PROCESSES, RESTORES, STAGED
from greenpower.mongo.schema.version import check_at_start
from tests.process import Command
from tests.wait import wait_until

AT = datetime(2026, 11, 20, tzinfo=UTC)
ELSEWHERE = {"host": "another", "pid": 1, "born": 0.0}


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings, appname="greenpower-restore") as client:
        yield client[settings.mongo_db_name]


def test_a_process_is_known_while_it_runs(settings: Settings, db: Database[Document]) -> None:
    assert living_processes(db) == []
    with running(settings, "replay"):
        [text] = living_processes(db)
        assert "replay" in text and str(os.getpid()) in text
    assert db[PROCESSES].count_documents({}) == 0
    wait_until(lambda: living_processes(db) == [])  # the server may notice a closed connection a moment later


def test_a_killed_process_of_this_machine_is_dead_at_once_and_a_silent_one_of_another_later(
    settings: Settings, db: Database[Document]
) -> None:
    me = this_process().fields()
    assert is_there(me) and is_there({**me, "born": 5.0}) is False and is_there(ELSEWHERE) is None
    db[PROCESSES].insert_one({"_id": "1", "name": "api", **me, "born": 5.0, "seen_at": datetime.now(UTC)})
    assert living_processes(db) == []
    db[PROCESSES].insert_one({"_id": "2", "name": "worker", **ELSEWHERE, "seen_at": datetime.now(UTC)})
    assert ["worker" in text for text in living_processes(db)] == [True]
    db[PROCESSES].update_one({"_id": "2"}, {"$set": {"seen_at": AT}})
    assert living_processes(db) == []


def test_a_connection_without_a_heartbeat_is_seen(settings: Settings, db: Database[Document]) -> None:
    with sync_client(settings, appname="greenpower-worker") as client:
        client[settings.mongo_db_name]["x"].find_one()
        assert ["greenpower-worker" in text for text in living_processes(db)] == [True]
        assert living_processes(db.client["another_database"]) == []
    wait_until(lambda: living_processes(db) == [])


def test_nothing_starts_while_a_restore_lives(settings: Settings, db: Database[Document]) -> None:
    run = begin_mark(db, "f", AT)
    with pytest.raises(RestoreLostError):
        begin_mark(db, "f", AT)
    with pytest.raises(ConfigError, match=str(os.getpid())):
        check_at_start(settings)
    with pytest.raises(ConfigError, match=str(os.getpid())), running(settings, "api"):
        pass
    assert living_processes(db) == []
    decide(db, run, ["a"])
    with pytest.raises(ConfigError, match=str(os.getpid())):
        check_at_start(settings)
    assert end_mark(db, run, RestoreState.SWITCHING, RestoreState.DONE)
    with running(settings, "api"):
        pass
    assert begin_mark(db, "f", AT) != run


def test_of_a_restore_that_seems_dead_and_a_process_that_starts_one_gets_its_way(
    settings: Settings, db: Database[Document]
) -> None:
    """A restore on another machine that did not renew its mark in time wakes up again."""
    late = {**ELSEWHERE, "until": AT}
    run = begin_mark(db, "f", AT)
    db[RESTORES].update_one({}, {"$set": late})
    db[f"{STAGED}rows"].insert_one({})
    refuse_while_restoring(db)
    assert db.list_collection_names(filter={"name": {"$regex": STAGED}}) == []
    with pytest.raises(RestoreLostError):
        decide(db, run, [])

    run = begin_mark(db, "f", AT)
    db[RESTORES].update_one({}, {"$set": late})
    decide(db, run, ["rows"])
    db[RESTORES].update_one({}, {"$set": late})
    with pytest.raises(ConfigError, match="--resume"):
        refuse_while_restoring(db)
    found = read_mark(db)
    assert found is not None and found["state"] == RestoreState.SWITCHING and found["collections"] == ["rows"]
    drop_staged(db)


def test_a_process_that_meets_a_restore_ends(
    settings: Settings, db: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was frozen for so long that the restore took it for dead."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    try:
        for after in (RestoreState.LOADING, RestoreState.DONE):
            with running(settings, "ingest"):
                run = begin_mark(db, "f", AT)
                if after is RestoreState.DONE:
                    decide(db, run, [])
                    end_mark(db, run, RestoreState.SWITCHING, RestoreState.DONE)
                wait_until(lambda: bool(ended))
            end_mark(db, run, RestoreState.LOADING, RestoreState.ABANDONED)
            ended.clear()
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_each_process_has_a_heartbeat_and_refuses_to_start_during_a_restore(
    settings: Settings, db: Database[Document], tmp_path: Path
) -> None:
    commands = {"ingest": ("ingest", "--mqtt"), "api": ("api",), "worker": ("worker",), "scheduler": ("scheduler",)}
    for name, arguments in commands.items():
        with Command(settings, *arguments, folder=tmp_path) as process:
            wait_until(lambda name=name: any(name in text for text in living_processes(db)), 30)  # type: ignore[misc]
            assert str(process.process.pid) in living_processes(db)[0]
            process.stop()
        wait_until(lambda: living_processes(db) == [])
    begin_mark(db, "f", AT)
    for arguments in (*commands.values(), ("init",), ("migrate",), ("rollups", "run"), ("ensure-indexes",)):
        with Command(settings, *arguments, folder=tmp_path) as process:
            assert process.process.wait(60) == 2, arguments
            assert "restore" in process.log.read_text()
