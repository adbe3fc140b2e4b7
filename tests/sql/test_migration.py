"""Migrations give what the models say, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect, text

from greenpower.app import sql_context
from greenpower.config import ConfigError, Settings
from greenpower.sql.alembic_config import alembic_config
from greenpower.sql.extensions import Base, db
from greenpower.sql.setup import current_revision, newest_revision, upgrade


@pytest.fixture
def app(sql_settings: Settings) -> Iterator[Flask]:
    with sql_context(sql_settings) as app:
        yield app


def test_migrations_make_what_the_models_declare(app: Flask) -> None:
    assert upgrade() == newest_revision()
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_second_run_changes_nothing(app: Flask) -> None:
    upgrade()
    assert upgrade() is None


def test_what_goes_up_comes_down(app: Flask) -> None:
    upgrade()
    command.downgrade(alembic_config(), "base")
    assert inspect(db.engine).get_table_names() == ["alembic_version"]
    assert upgrade() == newest_revision()


def test_devices_of_before_have_no_greatest_power(app: Flask) -> None:
    config = alembic_config()
    command.upgrade(config, "0003")
    values = "1, 'A', 'Main', 'online', '2026-11-23 12:00:00', '2026-11-23 12:00:00'"
    with db.engine.begin() as connection:
        columns = "id, device_id, name, status, created_at, updated_at"
        connection.execute(text(f"INSERT INTO device ({columns}) VALUES ({values})"))
    upgrade()
    with db.engine.begin() as connection:
        assert connection.execute(text("SELECT name, greatest_power FROM device")).all() == [("Main", None)]
        connection.execute(text("UPDATE device SET greatest_power = 12.5"))
        assert connection.execute(text("SELECT greatest_power FROM device")).scalar() == 12.5
    command.downgrade(config, "0003")
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM device")).scalar() == "Main"
    assert "greatest_power" not in {column["name"] for column in inspect(db.engine).get_columns("device")}


def test_a_migration_that_fails_leaves_nothing_behind(app: Flask) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE token_family (id integer)"))
    with pytest.raises(Exception, match="token_family"):
        upgrade()
    with db.engine.begin() as connection:
        assert current_revision(connection) is None
        assert inspect(connection).get_table_names() == ["token_family"]
        connection.execute(text("DROP TABLE token_family"))
    assert upgrade() == newest_revision()


def test_a_database_newer_than_the_code_is_refused(app: Flask) -> None:
    upgrade()
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'ffff'"))
    with pytest.raises(ConfigError, match="ffff"):
        upgrade()


@pytest.mark.parametrize("sql_url", ["sqlite"], indirect=True)
def test_sqlite_is_set_up_for_several_processes(app: Flask) -> None:
    with db.engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys")
        }
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 5000


def test_devices_of_before_are_confirmed(app: Flask) -> None:
    config = alembic_config()
    command.upgrade(config, "0006")
    values = "1, 'A', 'Main', 'online', '2026-11-23 12:00:00', '2026-11-24 12:00:00'"
    with db.engine.begin() as connection:
        columns = "id, device_id, name, status, created_at, updated_at"
        connection.execute(text(f"INSERT INTO device ({columns}) VALUES ({values})"))
    upgrade()
    with db.engine.connect() as connection:
        query = text("SELECT count(*), count(confirmed_by) FROM device WHERE confirmed_at = created_at")
        assert connection.execute(query).all() == [(1, 0)]
    command.downgrade(config, "0006")
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM device")).scalar() == "Main"
    left = {column["name"] for column in inspect(db.engine).get_columns("device")}
    assert not {"confirmed_at", "confirmed_by"} & left
