"""Backup and restore: what comes back is what was there, on SQLite and on PostgreSQL, and damage is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, ObjectId
from click.testing import CliRunner, Result
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database
from sqlalchemy import select

from greenpower.app import sql_context
from greenpower.backup.archive import SUFFIX, ArchiveError, read_file
from greenpower.backup.manifest import MANIFEST_NAME
from greenpower.backup.write import check_backup, in_order
from greenpower.cli.init import init_mongo, init_sql
from greenpower.cli.main import group
from greenpower.config import Settings
from greenpower.mongo.schema.layout import NOT_DATA
from greenpower.sql import Device, DeviceType, RoleName, ServiceZone, User
from greenpower.sql.extensions import db as sql
from greenpower.sql.session import sql_session
from greenpower.sql.setup import make_user
from tests.process import environment

Document = dict[str, Any]
T0 = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def world(sql_settings: Settings, mongo_uri: str, mongo_name: str) -> Iterator[Settings]:
    """Both databases with something of every kind in them."""
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    init_sql(settings)
    init_mongo(settings)
    with sql_session(settings) as session:
        zone = ServiceZone(name="North")
        session.add(zone)
        session.flush()
        session.add(Device(device_id="A/é", name="Main", zone_id=zone.id, types=[DeviceType(type="rt")]))
        session.commit()
    with MongoClient[Document](mongo_uri, tz_aware=True) as client:
        fill(client[mongo_name])
        yield settings
        client.drop_database(f"{mongo_name}_other")


def fill(db: Database[Document]) -> None:
    readings = [
        {
            "device_id": f"D{number % 3}",
            "timestamp": T0 + timedelta(seconds=number),
            "payload": {"ua": 229.097 + number, "n": number, "big": Int64(2**62)},
        }
        for number in range(2_500)
    ]
    db.grid_rt_data.insert_many(readings)
    db.telemetry_events.insert_many([{"_id": ObjectId(), "raw": "x" * 5_000, "received_at": T0} for _ in range(50)])
    db.rollup_watermarks.insert_one({"_id": "rt/today_", "watermark": T0})
    db.rollup_marks.insert_one({"_id": "rt/today_/2026-11-20T00/D0", "since": T0})
    for name, time in (("energy_intervals", "day"), ("energy_days", "month")):
        packed = {"energy": (5).to_bytes(8, "little"), "flags": b"\0"}
        db[name].insert_one(
            {"type": "rt", "device_id": "D0", "field": "e", time: T0, "slots": packed, "total": 5, "as_of": T0}
        )


def mongo_content(settings: Settings) -> dict[str, Any]:
    """Documents, indexes with all their options, and how each collection is kept, but for what is no data."""
    with MongoClient[Document](settings.need("MONGO_DB_URI"), tz_aware=True) as client:
        db = client[settings.mongo_db_name]
        return {
            name: (list(db[name].find().sort("_id")), db[name].index_information(), db[name].options())
            for name in sorted(db.list_collection_names())
            if name not in NOT_DATA
        }


def sql_content(settings: Settings) -> dict[str, Any]:
    with sql_context(settings), sql.engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in sql.metadata.sorted_tables
        }


def run(monkeypatch: pytest.MonkeyPatch, settings: Settings, *args: str) -> Result:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(group, list(args))


def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """Empty databases of the same kinds."""
    url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    if settings.sql_url.startswith("postgresql"):
        url = settings.database_url.get_secret_value()
        with sql_context(settings), sql.engine.begin() as connection:
            for name in [table.name for table in sql.metadata.sorted_tables] + ["alembic_version"]:
                connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}" CASCADE')
    name = f"{settings.mongo_db_name}_other"
    return settings.model_copy(update={"database_url": SecretStr(url), "mongo_db_name": name})


def test_what_comes_back_is_what_was_there(world: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "backup"
    before = mongo_content(world), sql_content(world)
    result = run(monkeypatch, world, "backup", str(folder))
    assert result.exit_code == 0, result.output
    assert run(monkeypatch, world, "backup", str(folder), "--check").exit_code == 0

    target = elsewhere(world, tmp_path)
    result = run(monkeypatch, target, "restore", str(folder))
    assert result.exit_code == 0, (result.output, result.exception)
    assert mongo_content(target) == before[0]
    assert sql_content(target) == before[1]
    # New rows get keys of their own.
    with sql_context(target):
        assert make_user("another", "correct horse", RoleName.VIEWER)
        sql.session.add(ServiceZone(name="South"))
        sql.session.commit()

    again = run(monkeypatch, target, "restore", str(folder))
    assert again.exit_code != 0 and "--replace" in str(again.exception)
    assert run(monkeypatch, target, "restore", str(folder), "--replace").exit_code == 0
    assert (mongo_content(target), sql_content(target)) == before


@pytest.fixture
def written(world: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "backup"
    assert run(monkeypatch, world, "backup", str(folder)).exit_code == 0
    return folder


def _cut(folder: Path) -> None:
    path = folder / f"mongo/grid_rt_data{SUFFIX}"
    path.write_bytes(path.read_bytes()[:-100])


def _flip(folder: Path) -> None:
    path = folder / f"mongo/telemetry_events{SUFFIX}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _lose(folder: Path) -> None:
    (folder / f"sql/user_account{SUFFIX}").unlink()


def _unfinished(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def _miscount(folder: Path) -> None:
    found = json.loads((folder / MANIFEST_NAME).read_text())
    found["parts"][-1]["documents"] += 1
    (folder / MANIFEST_NAME).write_text(json.dumps(found))


# Each with the name of the file that the error says.
DAMAGES = (
    (_cut, "grid_rt_data"),
    (_flip, "telemetry_events"),
    (_lose, "user_account"),
    (_unfinished, "manifest"),
    (_miscount, "mongo/"),
)


@pytest.mark.parametrize("sql_url", ["sqlite"], indirect=True)
def test_damage_is_found_before_anything_is_touched(
    written: Path, world: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mongo_content(world), sql_content(world)
    for damage, name in DAMAGES:
        folder = tmp_path / damage.__name__
        shutil.copytree(written, folder)
        damage(folder)
        with pytest.raises(ArchiveError, match=name):
            check_backup(folder)
        assert run(monkeypatch, world, "restore", str(folder), "--replace").exit_code != 0
        assert (mongo_content(world), sql_content(world)) == before, damage


@pytest.mark.parametrize("sql_url", ["sqlite"], indirect=True)
def test_a_folder_that_is_in_use_and_another_revision_are_refused(
    written: Path, world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = run(monkeypatch, world, "backup", str(written))
    assert again.exit_code != 0 and str(written) in str(again.exception)
    found = json.loads((written / MANIFEST_NAME).read_text())
    (written / MANIFEST_NAME).write_text(json.dumps({**found, "revision": "0000"}))
    refused = run(monkeypatch, world, "restore", str(written), "--replace")
    assert " 0000" in str(refused.exception)


def test_marks_are_copied_after_what_is_computed_from_and_before_what_is_computed(
    mongo_uri: str, mongo_name: str
) -> None:
    with MongoClient[Document](mongo_uri) as client:
        db = client[mongo_name]
        fill(db)
        db.counter_incidents.insert_one({"as_of": T0})
        for name in ("today_grid_rt_data", "another_tier"):
            db[name].insert_one({"as_of": T0})
        names = in_order(db)
    assert names == [
        "rollup_watermarks",
        "counter_incidents",
        "grid_rt_data",
        "rollup_marks",
        "another_tier",
        "energy_days",
        "energy_intervals",
        "today_grid_rt_data",
        "telemetry_events",
    ]


@pytest.mark.parametrize("sql_url", ["sqlite"], indirect=True)
def test_times_keep_their_microseconds(written: Path, world: Settings) -> None:
    with sql_session(world) as session:
        [made] = session.scalars(select(User.created_at)).all()
    [user] = read_file(written, "sql/user_account")
    assert datetime.fromisoformat(user["created_at"]["$time"]) == made
