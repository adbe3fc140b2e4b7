"""Marks of times of arrival and of values from files, in whatever order they meet."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database

from greenpower.archive.join import merge_pair
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.client import Document, async_client, sync_client
from greenpower.mongo.readings.clock_mark import ARRIVAL, ARRIVAL_IMPORTED, IMPORTED, join_marks
from greenpower.mongo.readings.store import Fragment, merge_fragments, store_readings
from greenpower.mongo.schema.layout import ensure_indexes
from tests.archive.world import make_reading

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARKS = (None, ARRIVAL, IMPORTED, ARRIVAL_IMPORTED)
#: what comes: (undated, imported)
SENT, UNDATED, FILE = (False, False), (True, False), (False, True)


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that this module's tests share, empty."""
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, get_registry(), settings)
        yield db


def plain_mark(kinds: Sequence[tuple[bool, bool]]) -> str | None:
    """What is true of a reading that was made of these, each with a value of its own, one after the other."""
    sent = [kind for kind in kinds if kind != FILE]
    told = not sent or (kinds[0] == FILE) or any(not undated for undated, _ in sent)
    imported = FILE in kinds
    return {(True, False): None, (False, False): ARRIVAL, (True, True): IMPORTED, (False, True): ARRIVAL_IMPORTED}[
        told, imported
    ]


def test_every_order_of_a_device_and_a_file(settings: Settings, db: Database[Document]) -> None:
    orders = [order for length in (1, 2, 3) for order in itertools.product((SENT, UNDATED, FILE), repeat=length)]

    async def go() -> None:
        async with async_client(settings) as client:
            collection = client[settings.mongo_db_name].grid_rt_data
            for number, order in enumerate(orders):
                at = T0 + timedelta(seconds=number)
                for step, (undated, imported) in enumerate(order):
                    one = Fragment("D", "T", at, T0, {f"f{step}": 1.0}, False, undated, imported)
                    await store_readings(collection, merge_fragments([one]), patience=timedelta(minutes=1))

    asyncio.run(go())
    found = [document.get("clock") for document in db.grid_rt_data.find().sort("timestamp")]
    assert found == [plain_mark(order) for order in orders]


@pytest.mark.parametrize("one", MARKS)
@pytest.mark.parametrize("other", MARKS)
def test_two_documents_of_a_reading_join_alike(one: str | None, other: str | None) -> None:
    documents = [
        make_reading("D", T0, {"a": 1} if number == 0 else {"b": 2}, **({} if mark is None else {"clock": mark}))
        for number, mark in enumerate((one, other))
    ]
    merged = merge_pair(documents[0], documents[1])
    assert merged.get("clock") == join_marks(one, other) == join_marks(other, one)
    assert merged["payload"] == {"a": 1, "b": 2} and ("clock" not in merged or list(merged)[-1] == "clock")
    assert merge_pair(documents[0], documents[0]) == documents[0]
