"""Restores killed at random moments, with writers that go on wherever they are allowed to.

A writer is a process of ours as far as the databases can tell: it has a heartbeat, it reads the mark, and it writes
into both databases while it may. After each kill the data is that of before, with what the writer added, or that of the
backup; never something between.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database
from sqlalchemy import select

from greenpower.cli.init import init_mongo, init_sql
from greenpower.config import ConfigError, Settings
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.processes.mark import MARK_ID, read_mark
from greenpower.mongo.schema.layout import RESTORES, STAGED
from greenpower.sql import ServiceZone
from greenpower.sql.session import sql_session
from tests.backup.test_backup import fill, mongo_content, sql_content
from tests.process import Command
from tests.wait import wait_until

Document = dict[str, Any]
KILLS = 20
SEED = 21


class Writer:
    """Writes pairs, one half into each database, while it is allowed to. `told`: what it wrote since the last clear."""

    def __init__(self, settings: Settings, db: Database[Document]) -> None:
        self.settings = settings
        self.db = db
        self.told: set[str] = set()
        self.refused = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with running(self.settings, "writer"):
                    while not self._ended.wait(0.02):
                        self._write()
            except ConfigError:
                self.refused += 1
                time.sleep(0.05)

    def _write(self) -> None:
        name = uuid4().hex
        self.db.grid_rt_data.insert_one({"device_id": name, "timestamp": name})
        with sql_session(self.settings) as session:
            session.add(ServiceZone(name=name))
            session.commit()
        self.told.add(name)


def written(settings: Settings, db: Database[Document]) -> tuple[set[str], set[str]]:
    """What writers wrote that is there, in each database."""
    with sql_session(settings) as session:
        zones = set(session.scalars(select(ServiceZone.name)))
    return {row["device_id"] for row in db.grid_rt_data.find({"timestamp": {"$type": "string"}})}, zones


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_under_load_there_is_the_old_data_or_the_new(
    sql_settings: Settings, mongo_uri: str, mongo_name: str, tmp_path: Path
) -> None:
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    folder = tmp_path / "backup"
    init_sql(settings)
    init_mongo(settings)
    rng = random.Random(SEED)
    outcomes = {"old": 0, "new": 0}
    with MongoClient[Document](mongo_uri, tz_aware=True) as client:
        db = client[mongo_name]
        fill(db)
        complete(settings, tmp_path, "backup", str(folder))
        new = mongo_content(settings), sql_content(settings)
        length = whole_restore(settings, db, folder, tmp_path)
        for number in range(KILLS):
            writer = Writer(settings, db)
            wait_until(lambda writer=writer: len(writer.told) >= 3, 20)  # type: ignore[misc]
            if number == 0:
                with Command(settings, "restore", "--replace", str(folder), folder=tmp_path) as process:
                    assert process.process.wait(60) == 2 and "writer" in process.log.read_text()
            writer.end()
            told = writer.told
            old = mongo_content(settings), sql_content(settings)
            with Command(settings, "restore", "--replace", str(folder), folder=tmp_path) as process:
                run = begun(db, process)
                # It tries to go on all the time.
                writer = Writer(settings, db)
                if number % 2:
                    wait_until(lambda: switching(db) or process.process.poll() is not None, 60)
                    time.sleep(rng.random() * 0.3)
                else:
                    time.sleep(rng.random() * length)
                process.kill()
            mark = read_mark(db)
            assert mark is not None and mark["id"] == run
            if mark["state"] == "switching":
                # Whatever it has come to, nobody writes until it is looked at.
                assert not writer.told and writer.refused
                writer.end()
                complete(settings, tmp_path, "restore", "--resume")
            else:
                # It goes on by itself.
                wait_until(lambda writer=writer: bool(writer.told), 30)  # type: ignore[misc]
                writer.end()
            added = writer.told
            in_mongo, in_sql = written(settings, db)
            assert in_mongo == in_sql, number
            assert not [name for name in db.list_collection_names() if name.startswith(STAGED)]
            found = without(settings, db, added)
            if found == old:
                assert told <= in_mongo
                outcomes["old"] += 1
            else:
                assert found == new, number
                outcomes["new"] += 1
    print(outcomes)
    assert min(outcomes.values()) >= 2


def complete(settings: Settings, folder: Path, *command: str) -> None:
    """Run a command to its end."""
    with Command(settings, *command, folder=folder) as process:
        assert process.process.wait(120) == 0, process.log.read_text()


def whole_restore(settings: Settings, db: Database[Document], folder: Path, tmp_path: Path) -> float:
    """Seconds from the mark to the switch of a restore that is not killed."""
    with Command(settings, "restore", "--replace", str(folder), folder=tmp_path) as process:
        begun(db, process)
        began = time.monotonic()
        wait_until(lambda: switching(db) or process.process.poll() is not None, 60)
        took = time.monotonic() - began
        assert process.process.wait(60) == 0, process.log.read_text()
    return took


def begun(db: Database[Document], process: Command) -> str:
    """The id of a restore, as soon as its mark is there."""
    before = db[RESTORES].find_one({"_id": MARK_ID}) or {}

    def is_there() -> bool:
        assert process.process.poll() is None, process.log.read_text()
        found = read_mark(db)
        return found is not None and found["id"] != before.get("id")

    wait_until(is_there, 60)
    found = read_mark(db)
    assert found is not None
    return found["id"]


def switching(db: Database[Document]) -> bool:
    found = read_mark(db)
    return found is not None and found["state"] == "switching"


def without(settings: Settings, db: Database[Document], names: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data without what a writer added meanwhile."""
    db.grid_rt_data.delete_many({"device_id": {"$in": list(names)}})
    with sql_session(settings) as session:
        for zone in session.scalars(select(ServiceZone).where(ServiceZone.name.in_(names))):
            session.delete(zone)
        session.commit()
    return mongo_content(settings), sql_content(settings)
