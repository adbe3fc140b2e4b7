"""Fixtures of the alarms' tests: one database of each kind for a module, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.sql.session import sql_session
from greenpower.stack import Mongod
from tests.alarms.world import AlarmWorld
from tests.rollups.world import POWER


@pytest.fixture(scope="module")
def shared_world(
    mongod: Mongod, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AlarmWorld]:
    """The module's world."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("alarms"),
        secret_key="s" * 40,  # type: ignore[arg-type]
        jwt_signing_key="j" * 40,  # type: ignore[arg-type]
        mongo_db_uri=mongod.uri,  # type: ignore[arg-type]
        mongo_db_name=module_database,
    )
    init_sql(settings)
    with sync_client(settings) as client, sql_session(settings) as session:
        db = client[module_database]
        ensure_indexes(db, [POWER], settings)
        yield AlarmWorld(db, session, settings)


@pytest.fixture
def world(shared_world: AlarmWorld) -> AlarmWorld:
    """It, empty."""
    shared_world.clear()
    return shared_world
