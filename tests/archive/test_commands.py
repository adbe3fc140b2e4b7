"""`greenpower archive` and the job: what they print, what they exit with, what is scheduled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.cli.jobs import job_entries
from greenpower.cli.main import group
from greenpower.config import ConfigError, Settings
from greenpower.jobs.archive import move
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST, ensure_indexes
from tests.archive.world import AFTER_DAYS, archiving, make_reading
from tests.process import environment

OLD = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def known(db: Database[Document], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process use this test's settings; ten old readings are there."""
    ensure_indexes(db, get_registry(), settings)
    for name, value in environment(archiving(settings)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ARCHIVE_AFTER_DAYS", str(AFTER_DAYS))
    rows = [make_reading("D1", OLD + timedelta(minutes=n), {"ua": 230 + n / 10}) for n in range(10)]
    db["grid_rt_data"].insert_many(rows)


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(group, ["archive", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


@pytest.mark.usefixtures("known")
def test_a_month_goes_and_comes_back(db: Database[Document], settings: Settings) -> None:
    assert call("run", "--type", "rt")[0] == 0
    assert db["grid_rt_data"].count_documents({}) == 10
    db[ARCHIVE_MANIFEST].update_many({}, {"$set": {"files.0.written_at": OLD}})  # a while ago
    assert call("run", "--type", "rt")[0] == 0
    assert db["grid_rt_data"].count_documents({}) == 1  # its newest one
    status = call("status")[1]
    assert "rt" in status and "2026-01" in status
    assert call("verify")[0] == 0
    assert call("restore", "--type", "rt", "--month", "2026-01")[0] == 0
    assert db["grid_rt_data"].count_documents({}) == 10


@pytest.mark.usefixtures("known")
def test_damage_is_exit_1(settings: Settings) -> None:
    assert call("run")[0] == 0
    for path in (settings.greenpower_home / "archive").rglob("*.parquet"):
        path.unlink()
    assert call("verify")[0] == 1
    with pytest.raises(ConfigError):
        call("restore", "--type", "rt", "--month", "2026-01")


@pytest.mark.usefixtures("known")
def test_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_AFTER_DAYS", "0")
    with pytest.raises(ConfigError):
        call("run")
    assert move("rt") == {"outcome": "off"}
    assert move("nothing") == {"outcome": "not_declared"}


@pytest.mark.usefixtures("known")
def test_the_job_does_a_run() -> None:
    assert move("rt") == {"outcome": "done", "archived": 10, "deleted": 0, "months": 1}


@pytest.mark.usefixtures("known")
def test_a_backup_says_what_it_does_not_have(settings: Settings, tmp_path: Path) -> None:
    init_sql(settings)

    def backup(name: str) -> str:
        done = CliRunner().invoke(group, ["backup", str(tmp_path / name)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stderr

    assert "not in it" not in backup("before")
    assert call("run", "--type", "rt")[0] == 0
    assert f"not in it: 1 archived months in {settings.greenpower_home / 'archive'}; copy them too" in backup("after")


def test_it_is_scheduled_where_it_is_wanted(settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_address) as connection:

        def names(of: Settings) -> set[str]:
            return {entry.name for entry in job_entries(get_registry(), of, connection)}

        wanted = {f"archive-{datatype.name}" for datatype in get_registry()}
        assert names(archiving(settings)) - names(settings) == wanted
