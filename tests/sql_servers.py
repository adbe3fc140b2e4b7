"""Fixtures of SQL databases: each test that asks for `sql_url` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from greenpower.config import Settings
from tests.memory import data_folder

if TYPE_CHECKING:
    from pgserver.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the session's PostgreSQL."""
    with postgres_server(tmp_path_factory.mktemp("run")) as server:
        yield server.get_uri()


@contextmanager
def postgres_server(run: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of its own. run: a folder for its lock."""
    with pytest.MonkeyPatch.context() as environment:
        # Where it keeps its lock and, if paths are long, its socket; it looks when it is imported.
        environment.setenv("XDG_RUNTIME_DIR", str(run))
        from pgserver.postgres_server import get_server

        # Not below pytest's own folder: started by root it runs as another user, and every other pytest that starts
        # closes that folder to others again.
        server = get_server(mkdtemp(prefix="greenpower-postgres-", dir=data_folder()), cleanup_mode="delete")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # No test's data has to outlive the machine.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(SQL("ALTER SYSTEM SET {} = off").format(Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield server
        server.cleanup()


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """DATABASE_URL of an empty PostgreSQL database of this test alone."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """DATABASE_URL of an empty database, one test for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def sql_settings(sql_url: str, tmp_path: Path) -> Settings:
    """Settings for `sql_url`, and nothing that needs another server."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        database_url=SecretStr(sql_url),
        secret_key=SecretStr("s" * 40),
        jwt_signing_key=SecretStr("j" * 40),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
    )
