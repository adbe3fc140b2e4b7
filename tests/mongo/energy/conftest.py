"""An empty database with the collections of the interval ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import ensure_indexes


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (), settings)
        yield db
