"""A restore that is interrupted, or not alone: the old data or the new data whole, every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database
from sqlalchemy import inspect, select, text

from greenpower.app import sql_context
from greenpower.backup.archive import ArchiveError
from greenpower.backup.restore import Restore
from greenpower.backup.write import write_backup
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.jobs.device_sync import sync_devices
from greenpower.mongo.client import sync_client
from greenpower.mongo.devices.settings import read_settings
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.processes.mark import begin_mark, read_mark, refuse_while_restoring
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, SEEN, STAGED, ensure_indexes
from greenpower.mongo.schema.version import adopt
from greenpower.sql import Device, DeviceType, ServiceZone
from greenpower.sql.alembic_config import alembic_config
from greenpower.sql.extensions import db as sql
from greenpower.sql.session import sql_session
from greenpower.sql.setup import current_revision, newest_revision
from tests.backup.restoring import killed_restore, restore
from tests.backup.test_backup import T0, fill, mongo_content, sql_content

Document = dict[str, Any]
Content = tuple[dict[str, Any], dict[str, Any]]
ON_SQLITE = pytest.mark.parametrize("sql_url", ["sqlite"], indirect=True)


@pytest.fixture
def world(sql_settings: Settings, mongo_uri: str, mongo_name: str) -> Settings:
    """Both databases with the core's collections, and something in them."""
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    init_sql(settings)
    with MongoClient[Document](mongo_uri) as client:
        adopt(client[mongo_name])
        ensure_indexes(client[mongo_name], (), settings)
        fill(client[mongo_name])
    return settings


@pytest.fixture
def db(world: Settings) -> Iterator[Database[Document]]:
    with MongoClient[Document](world.need("MONGO_DB_URI"), tz_aware=True) as client:
        yield client[world.mongo_db_name]


@pytest.fixture
def folder(world: Settings, db: Database[Document], tmp_path: Path) -> Path:
    """A backup; since then, both databases have changed."""
    folder = tmp_path / "backup"
    back_up(world, db, folder)
    change(world, db)
    return folder


def back_up(settings: Settings, db: Database[Document], folder: Path) -> None:
    with sql_context(settings), sql.engine.connect() as connection:
        write_backup(folder, db, connection)


def change(settings: Settings, db: Database[Document]) -> None:
    """Change what a backup has, in both databases."""
    db.grid_rt_data.delete_many({"device_id": "D1"})
    db.a_collection_of_its_own.insert_one({"a": 1})
    db.rollup_watermarks.update_many({}, {"$set": {"watermark": T0.replace(hour=3)}})
    with sql_session(settings) as session:
        session.add(ServiceZone(name=f"Zone {uuid4().hex}"))
        session.commit()


def content(settings: Settings) -> Content:
    return mongo_content(settings), sql_content(settings)


def kill_at(settings: Settings, db: Database[Document], folder: Path, places: Iterable[int], commit: int) -> None:
    """Kill restores before these steps, and hold each outcome against the data of before and of the backup, which is
    there now."""
    new = content(settings)
    for place in places:
        change(settings, db)
        old = content(settings)
        killed_restore(settings, folder, place)
        if place <= commit:
            check_old(settings, db, old)
            continue
        with pytest.raises(ConfigError, match="--resume"):
            refuse_while_restoring(db)
        restore(settings, None if place % 2 else folder)
        refuse_while_restoring(db)
        assert content(settings) == new, place


def check_old(settings: Settings, db: Database[Document], old: Content) -> None:
    """Nothing has happened, and the next process starts, at once or when a restore has looked at SQL."""
    try:
        refuse_while_restoring(db)
    except ConfigError:
        restore(settings, None)
        refuse_while_restoring(db)
    assert content(settings) == old
    assert not [name for name in db.list_collection_names() if name.startswith(STAGED)]
    with sql_context(settings):
        assert not inspect(sql.engine).has_table("restore_switch")


def steps_of(settings: Settings, folder: Path) -> list[str]:
    """The names of all steps of a restore."""
    names: list[str] = []
    restore(settings, folder, lambda count, name: names.append(name))
    return names


@ON_SQLITE
def test_killed_about_the_moment_that_decides_there_is_the_old_data_or_the_new(
    world: Settings, db: Database[Document], folder: Path
) -> None:
    names = steps_of(world, folder)
    commit = names.index("commit") + 1
    renames = [number for number, name in enumerate(names, 1) if name == "renameCollection"]
    assert renames[0] > commit
    kill_at(world, db, folder, (commit, commit + 1, renames[-1]), commit)


@pytest.mark.slow
@pytest.mark.parametrize("sql_url", ["postgresql"], indirect=True)
def test_killed_about_the_moment_that_decides_with_postgresql(
    world: Settings, db: Database[Document], folder: Path
) -> None:
    commit = steps_of(world, folder).index("commit") + 1
    kill_at(world, db, folder, range(commit - 2, commit + 3), commit)


@pytest.mark.slow
@ON_SQLITE
def test_killed_before_any_of_its_steps_there_is_the_old_data_or_the_new(
    world: Settings, db: Database[Document], folder: Path
) -> None:
    names = steps_of(world, folder)
    commit = names.index("commit") + 1
    first = {names.index(name) + 1 for name in names}
    kill_at(world, db, folder, sorted({*first, *range(commit - 2, len(names) + 1)}), commit)


@ON_SQLITE
def test_an_error_before_the_decision_leaves_the_old_data(
    world: Settings, db: Database[Document], folder: Path
) -> None:
    old = content(world)

    def fail(name: str, done: int, total: int) -> None:
        if name.startswith("sql/"):
            raise OSError("no space left")

    with sync_client(world, appname="greenpower-restore") as client, sql_context(world):
        mongo = client[world.mongo_db_name]
        work = Restore(mongo, sql.engine, lambda prefix: ensure_indexes(mongo, (), world, prefix=prefix), fail)
        with pytest.raises(OSError, match="no space"):
            work.load(folder, replace=True)
    check_old(world, db, old)


@ON_SQLITE
def test_refused_while_a_process_lives(world: Settings, db: Database[Document], folder: Path) -> None:
    old = content(world)
    with running(world, "ingest"), pytest.raises(ArchiveError, match="ingest"):
        restore(world, folder)
    # One that has no heartbeat: a job whose worker was killed.
    with sync_client(world, appname="greenpower-worker") as client, pytest.raises(ArchiveError, match="worker"):
        client[world.mongo_db_name].command("ping")
        restore(world, folder)
    refuse_while_restoring(db)
    assert content(world) == old
    begin_mark(db, "another", T0)
    with pytest.raises(ArchiveError, match="another restore"):
        restore(world, folder)


@ON_SQLITE
def test_a_process_that_starts_while_it_loads_is_refused(world: Settings, db: Database[Document], folder: Path) -> None:
    refused = []

    def at(count: int, name: str) -> None:
        if name in ("insert", "renameCollection") and read_mark(db) is not None:
            with pytest.raises(ConfigError), running(world, "ingest"):
                pass
            refused.append(name)

    restore(world, folder, at)
    assert {"insert", "renameCollection"} <= set(refused)
    with running(world, "ingest"):
        pass


@ON_SQLITE
def test_an_interrupted_restore_is_finished_before_another_begins(
    world: Settings, db: Database[Document], folder: Path, tmp_path: Path
) -> None:
    back_up(world, db, tmp_path / "later")
    later = content(world)
    commit = steps_of(world, folder).index("commit") + 1
    new = content(world)
    change(world, db)
    killed_restore(world, folder, commit + 1)
    with pytest.raises(ArchiveError, match="finished now"):
        restore(world, tmp_path / "later")
    assert content(world) == new
    restore(world, tmp_path / "later")
    assert content(world) == later


def test_a_backup_of_an_older_revision_is_loaded_and_migrated(
    world: Settings, db: Database[Document], tmp_path: Path
) -> None:
    older = "0003"
    with sql_context(world):
        command.downgrade(alembic_config(), older)
        with sql.engine.begin() as connection:
            columns = "id, device_id, name, status, created_at, updated_at"
            values = "7, 'A', 'Main', 'online', '2026-11-23 12:00:00', '2026-11-23 12:00:00'"
            connection.execute(text(f"INSERT INTO device ({columns}) VALUES ({values})"))
        _back_up_as_then(world, db, tmp_path / "backup")
        command.upgrade(alembic_config(), "head")
    change(world, db)
    restore(world, tmp_path / "backup")
    with sql_context(world), sql.engine.connect() as connection:
        assert current_revision(connection) == newest_revision()
    with sql_session(world) as session:
        [device] = session.scalars(select(Device))
        assert (device.id, device.device_id, device.greatest_power) == (7, "A", None)
        assert session.scalars(select(ServiceZone)).all() == []
        session.add(Device(device_id="B"))
        session.commit()


def _back_up_as_then(settings: Settings, db: Database[Document], folder: Path) -> None:
    """A backup as the release of that revision wrote it: with the columns of its tables."""
    with pytest.MonkeyPatch.context() as patch, sql.engine.connect() as connection:
        found = type(sql.metadata)()
        found.reflect(connection)
        known = sql.metadata.tables
        for table in found.tables.values():
            for column in table.columns:
                if table.name in known:
                    column.type = known[table.name].columns[column.name].type
        found.remove(found.tables["alembic_version"])
        connection.rollback()
        patch.setattr("greenpower.backup.write.sql", type("Then", (), {"metadata": found}))
        write_backup(folder, db, connection)


def test_a_device_made_while_a_backup_is_written_does_not_break_the_restore(
    world: Settings, db: Database[Document], tmp_path: Path
) -> None:
    """Made after the table of devices was copied, and before those of what belongs to devices, and MongoDB."""

    def make(name: str) -> None:
        with sql_session(world) as session:
            session.add(Device(device_id=name, types=[DeviceType(type="rt")]))
            session.commit()
        db[SEEN].insert_one({"_id": f"rt/{name}", "type": "rt", "device_id": name, "last_reading": T0})
        with sql_session(world) as session:
            sync_devices(session, db)

    def tell(name: str, done: int, total: int) -> None:
        if name in ("sql/device", "sql/user_account"):
            make(name)

    with sql_context(world), sql.engine.connect() as connection:
        write_backup(tmp_path / "backup", db, connection, tell)
    change(world, db)
    restore(world, tmp_path / "backup")
    with sql_session(world) as session:
        assert session.scalars(select(Device.device_id)).all() == []
        sync_devices(session, db)
        found = {device.device_id: [one.type for one in device.types] for device in session.scalars(select(Device))}
    assert found == {"sql/device": ["rt"], "sql/user_account": ["rt"]}
    assert {name: one["registered"] for name, one in read_settings(db[DEVICE_SETTINGS]).items()} == dict.fromkeys(
        found, True
    )
