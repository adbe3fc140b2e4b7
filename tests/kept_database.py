"""Databases whose collections and indexes outlive a test.

What belongs here: a database that the tests of a module have one after the other, emptied for each, because making its
collections and indexes takes longer than most tests. What does not: tests of how a database is made or migrated; each
of these has one that does not exist yet (`mongo_name` of `tests/conftest.py`).

A conftest or a module that keeps its database says so with a fixture `mongo_name` that returns `kept_name`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from greenpower.stack import Mongod


@pytest.fixture(scope="module")
def module_database(mongod: Mongod) -> Iterator[str]:
    """Name of this module's database, dropped after its tests."""
    name = f"kept_{uuid4().hex[:12]}"
    yield name
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.drop_database(name)


@pytest.fixture
def kept_name(mongod: Mongod, module_database: str) -> str:
    """MONGO_DB_NAME of this module's database, with the collections and indexes of the test before and no document."""
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        db = client[module_database]
        for collection in db.list_collection_names():
            if collection.startswith("system."):  # of the profiler
                db.drop_collection(collection)
            else:
                db[collection].delete_many({})
    return module_database
