"""Fixtures of the hostile tests: processes to attack, and what they store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.cli.init import init_sql
from greenpower.config import Settings
from tests.process import Command
from tests.realtime.conftest import answers
from tests.wait import wait_until

Run = Callable[..., Command]


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Iterator[Run]:
    """Run a command of greenpower, `run("ingest", "--mqtt", tcp_idle_seconds=5)`, and wait until it is healthy."""
    with ExitStack() as stack:

        def go(*args: str, **values: Any) -> Command:
            using = Settings.model_validate({**settings.model_dump(), **values})
            if args[0] == "api":
                init_sql(using)
            command = stack.enter_context(Command(using, *args, folder=tmp_path))
            if args[0] == "api":
                wait_until(lambda: _ready(command), 60)
            elif args[0] == "realtime":
                wait_until(lambda: answers(command), 60)
            else:
                command.wait_healthy(60)
            return command

        yield go


@pytest.fixture
def base(settings: Settings) -> str:
    """Where the API is."""
    return f"http://127.0.0.1:{settings.api_port}"


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    """This test's database."""
    with MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        yield client[settings.mongo_db_name]


def log_in(base: str) -> str:
    """The administrator's access token."""
    body = {"username": "admin", "password": "correct horse"}
    response = httpx.post(f"{base}/api/users/token/", json=body, timeout=30)
    assert response.status_code == 200, response.text
    access: str = response.json()["access"]
    return access


def _ready(command: Command) -> bool:
    assert command.process.poll() is None, command.log.read_text()
    try:
        return httpx.get(f"http://127.0.0.1:{command.settings.api_port}/api/ready/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
