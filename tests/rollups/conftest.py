"""Fixtures for the jobs' tests: a database with its indexes, a clock to set, a small data type of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ensure_indexes
from tests.rollups.world import ENERGY, POWER, World

T0 = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that a module's tests share, empty."""
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    """This test's database, with its indexes."""
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (POWER, ENERGY), settings)
        yield db


@pytest.fixture
def world(db: Database[Document], settings: Settings) -> World:
    """The small world of two data types, at an hour past `T0`."""
    return World(db, settings, T0 + timedelta(hours=1))
