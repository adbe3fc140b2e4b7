"""`greenpower init`: repeated, at once, and with what it cannot do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from sqlalchemy import func, select

from greenpower.app import sql_context
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.sql import Role, RoleName, User
from greenpower.sql.extensions import db
from greenpower.sql.setup import make_roles, make_user, upgrade
from greenpower.sql.user import find_user
from tests.command import run_cli
from tests.process import environment


def counts(settings: Settings) -> tuple[int | None, int | None]:
    with sql_context(settings):
        return db.session.scalar(select(func.count(User.id))), db.session.scalar(select(func.count(Role.id)))


def test_several_at_once_do_the_work_once(sql_settings: Settings, tmp_path: Path) -> None:
    script = "from greenpower.cli.init import *; print(*init_sql(load_settings()), sep='\\n')"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=environment(sql_settings),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    made = "".join(outputs)
    assert made.count(f" {sql_settings.admin_username} ") == 2  # the role and the user
    assert made.count(f" {RoleName.OPERATOR.value} ") == made.count(f" {RoleName.VIEWER.value} ") == 1
    assert counts(sql_settings) == (1, 3)


def test_init_makes_everything_and_then_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for lines in (7, 1):  # a line for each change, and their number
        assert run_cli(monkeypatch, tmp_path, "init", settings=settings) == 0
        assert len(capsys.readouterr().out.splitlines()) == lines
    assert counts(settings) == (1, 3)
    with MongoClient[dict[str, Any]](settings.need("MONGO_DB_URI")) as client:
        assert "device_id_timestamp" in client[settings.mongo_db_name].grid_rt_data.index_information()


def test_telemetry_without_users_is_a_warning(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The user database was lost, or emptied; the start goes on, and says it once."""
    with MongoClient[dict[str, Any]](settings.need("MONGO_DB_URI")) as client:
        client[settings.mongo_db_name].telemetry_events.insert_one({"raw": "x"})
    file = settings.greenpower_home / "greenpower.sqlite3"
    for warned in (1, 0, 1):
        assert run_cli(monkeypatch, tmp_path, "init", settings=settings) == 0
        assert sum("telemetry" in line for line in capsys.readouterr().err.splitlines()) == warned
        if not warned:
            assert file.stat().st_size
            file.write_bytes(b"")
    assert counts(settings) == (1, 3)


def test_the_administrator_is_made_from_the_settings_once(sql_settings: Settings) -> None:
    init_sql(sql_settings)
    with sql_context(sql_settings):
        assert db.session.scalars(select(User.username)).all() == [sql_settings.admin_username]
    changed = sql_settings.model_copy(update={"admin_username": "other", "admin_password": SecretStr("another one")})
    assert init_sql(changed) == []
    assert counts(sql_settings) == (1, 3)


def test_another_user_of_that_name_is_not_promoted(sql_settings: Settings) -> None:
    with sql_context(sql_settings):
        upgrade()
        make_roles()
        make_user("admin", "password", RoleName.VIEWER)
    with pytest.raises(ConfigError, match="'admin'"):
        init_sql(sql_settings)
    with sql_context(sql_settings):
        user = find_user("admin")
        assert user is not None and user.role.name == "viewer"


def test_without_a_password_it_says_that_nobody_can_log_in(sql_settings: Settings) -> None:
    nobody = sql_settings.model_copy(update={"admin_password": SecretStr("")})
    for _ in range(2):
        assert any("ADMIN_PASSWORD" in line for line in init_sql(nobody))
    assert counts(sql_settings) == (0, 3)
    assert len(init_sql(sql_settings)) == 1 and counts(sql_settings) == (1, 3)


def test_production_refuses_a_short_password(sql_settings: Settings) -> None:
    with pytest.raises(ConfigError, match="ADMIN_PASSWORD"):
        init_sql(sql_settings.model_copy(update={"environment": "prod", "admin_password": SecretStr("short")}))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"database_url": "postgresql://u:hunter2@127.0.0.1:9/x"}, "SQL at postgresql+psycopg://u:***@127.0.0.1:9/x"),
        ({"database_url": "sqlite:////dev/null/x.sqlite3"}, "SQL at sqlite:////dev/null/x.sqlite3: unable to open"),
        ({"database_url": "nonsense"}, "DATABASE_URL"),
        ({"mongo_db_uri": "mongodb://u:hunter2@127.0.0.1:9/"}, "MONGO_DB_URI"),
        ({"mongo_db_uri": "http://x"}, "MONGO_DB_URI"),
        ({"mongo_db_uri": ""}, "MONGO_DB_URI is not set"),
        ({"admin_username": "a b"}, "a user cannot be called 'a b'"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path,
    changes: dict[str, str],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("greenpower.mongo.client.SELECTION_MS", 200)
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path / "home",
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
    )
    secret = {name: value if name == "admin_username" else SecretStr(value) for name, value in changes.items()}
    assert run_cli(monkeypatch, tmp_path, "init", settings=settings.model_copy(update=secret)) == 2
    told = capsys.readouterr().err
    assert told.startswith("greenpower: ") and line in told and told.count("\n") == 1
    assert "hunter2" not in told
