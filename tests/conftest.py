"""Fixtures for all tests: the real servers, each started once a session when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
import redis
from pymongo import MongoClient

from greenpower.config import Settings
from greenpower.stack import Mongod, Mosquitto, Valkey
from greenpower.stack.port import free_port
from tests.memory import SmallMongod, data_home
from tests.order import LONGEST_FIRST, SLOW_BY_REACH, in_order

# A machine that does other work beside is no reason for a test to fail.
# The same examples in every run, so that a change is judged by what it changes. `make test-slow` looks for new ones.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("tests")

pytest_plugins = (
    "tests.alarms.more_kinds",
    "tests.kept_database",
    "tests.sql_servers",
    "tests.api.energy.meter",
    "tests.ingest.sources.gateway",
)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its number. In packed bytes is the second of their making, and processes that share the
    tests must find the same names."""
    return argname if isinstance(val, bytes) and not (val.isascii() and len(val) <= 40) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with the longest modules; of the long tests, with those of most reach."""
    if hasattr(config, "workerinput"):
        items[:] = in_order(items, LONGEST_FIRST)
    elif config.option.markexpr == "slow":
        items[:] = in_order(items, SLOW_BY_REACH)


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    """The session's mongod. A test that kills or pauses one starts its own."""
    with data_home() as home, SmallMongod(home) as part:
        with MongoClient[dict[str, Any]](part.uri) as client:
            # Many tests have a clock of their own: what is young by it is expired by the server's, which would delete
            # it once a minute, in whatever test runs then.
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        yield part


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The session's Valkey."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as part:
        yield part


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """The session's broker. Its sessions outlive a test: use client ids of your own."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as part:
        yield part


@pytest.fixture
def mongo_uri(mongod: Mongod) -> str:
    """MONGO_DB_URI of the session's mongod."""
    return mongod.uri


@pytest.fixture
def mongo_name(mongod: Mongod) -> Iterator[str]:
    """MONGO_DB_NAME of this test alone, dropped after it."""
    name = f"test_{uuid4().hex[:12]}"
    yield name
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.drop_database(name)


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """REDIS_URL of the session's Valkey, emptied for this test."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
def broker(mosquitto: Mosquitto) -> tuple[str, int]:
    """Host and port of the session's broker."""
    return mosquitto.host, mosquitto.port


@pytest.fixture
def settings(tmp_path: Path, mongo_uri: str, mongo_name: str, redis_url: str, broker: tuple[str, int]) -> Settings:
    """Settings for the session's parts: home, database and free ports of this test alone, keys that pass in prod."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        secret_key="s" * 40,  # type: ignore[arg-type]
        jwt_signing_key="j" * 40,  # type: ignore[arg-type]
        admin_password="correct horse",  # type: ignore[arg-type]
        mongo_db_uri=mongo_uri,  # type: ignore[arg-type]
        mongo_db_name=mongo_name,
        redis_url=redis_url,  # type: ignore[arg-type]
        mqtt_broker=broker[0],
        mqtt_port=broker[1],
        mqtt_client_id=f"test-{uuid4().hex[:12]}",
        tcp_port=free_port(),
        api_port=free_port(),
        realtime_port=free_port(),
        ingest_http_port=free_port(),
    )
