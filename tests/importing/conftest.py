"""Fixtures: a database with its collections, kept over the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from tests.importing.files import HEATER
from tests.rollups.world import ENERGY, POWER, USAGE


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that a module's tests share, empty."""
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (POWER, ENERGY, USAGE, HEATER), settings)
        yield db
