"""`clock: "arrival"`: which readings say that their timestamp is the time of arrival, however they were stored."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.client import Document, async_client, sync_client
from greenpower.mongo.readings.clock_mark import ARRIVAL
from greenpower.mongo.readings.store import Fragment, merge_fragments, store_readings
from greenpower.mongo.schema.layout import ensure_indexes

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


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


def fragment(name: str, *, undated: bool, at: datetime = T0) -> Fragment:
    return Fragment("D1", "T", at, T0, {name: 1.0}, False, undated)


def store(settings: Settings, batches: Sequence[Sequence[Fragment]]) -> None:
    async def go() -> None:
        async with async_client(settings) as client:
            collection = client[settings.mongo_db_name].grid_rt_data
            for batch in batches:
                await store_readings(collection, merge_fragments(list(batch)), patience=timedelta(minutes=1))

    asyncio.run(go())


@pytest.mark.parametrize("undated", [True, False])
def test_a_reading_says_that_its_time_is_that_of_arrival(
    settings: Settings, db: Database[Document], undated: bool
) -> None:
    store(settings, [[fragment("a", undated=undated)]])
    [reading] = db.grid_rt_data.find()
    assert reading.get("clock") == (ARRIVAL if undated else None)


@pytest.mark.parametrize("told", range(4))
def test_of_merged_fragments_one_that_the_device_stamped_is_enough_in_any_order(
    settings: Settings, db: Database[Document], told: int
) -> None:
    """In one batch, or each in its own, or again afterwards."""
    orders = list(itertools.permutations(range(3)))
    for number, order in enumerate(orders):
        at = T0 + timedelta(seconds=number)
        parts = [fragment(f"f{index}", undated=index != told, at=at) for index in order]
        cuts = [parts] if number % 2 else [[part] for part in parts]
        store(settings, [*cuts, [fragment("f0", undated=True, at=at)]])
    readings = list(db.grid_rt_data.find())
    assert len(readings) == len(orders)
    assert {reading.get("clock") for reading in readings} == {None if told < 3 else ARRIVAL}
    assert all(set(reading["payload"]) == {"f0", "f1", "f2"} for reading in readings)
