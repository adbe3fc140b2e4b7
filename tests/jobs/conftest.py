"""Fixtures for the jobs' tests: those of the rollups' tests, and a Redis that jobs find by the environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ensure_indexes
from tests.process import environment
from tests.rollups.conftest import db, mongo_name, world

__all__ = ["connection", "db", "mongo_name", "world"]


@pytest.fixture
def connection(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """This test's Redis; the job finds all else by the environment, as in a worker's child."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("greenpower.rollups.job_run.FIRST_RETRY_SECONDS", 0.01)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value()) as mongo:
        ensure_indexes(mongo[settings.mongo_db_name], get_registry(), settings)
    with redis.Redis.from_url(settings.redis_address) as client:
        yield client
