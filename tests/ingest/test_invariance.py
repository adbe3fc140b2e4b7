"""Whatever order, split into batches and repetition a stream comes in, the same is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.simulator.device import Packet, frames, make_devices
from greenpower.simulator.fleet import can_simulate
from tests.ingest.conftest import Document

DHAKA = ZoneInfo("Asia/Dhaka")
NOW = datetime.now(UTC).replace(microsecond=0)
# Without stamps each arrival is a reading, so the stream itself says what is stored.
UNSTAMPED = {"environment"}
STAMPED = [
    datatype
    for datatype in get_registry()
    if datatype.topics and datatype.name not in UNSTAMPED and not can_simulate(datatype, DHAKA)
]


def packets(datatype: DataType) -> list[Packet]:
    """Some readings of some devices, split as their models split them."""
    devices = make_devices(datatype, 4, 1, DHAKA)
    return [
        packet
        for step in range(3)
        for number, device in enumerate(devices)
        for packet in frames(device, NOW - timedelta(seconds=30 * step, milliseconds=number))
    ]


def store(using: Settings, batches: list[list[Packet]]) -> None:
    """Put batches through a pipeline, one after the other."""

    async def run() -> None:
        async with async_client(using) as client:
            db = client[using.mongo_db_name]
            pipeline = Pipeline(registry=get_registry(), settings=using, db=db, metrics=IngestMetrics())
            for batch in batches:
                for topic, payload in batch:
                    pipeline.submit(Arrival(topic=topic, payload=payload, received_at=NOW, source="mqtt"))
                await pipeline.drain()

    asyncio.run(run())


def content(db: Any, datatype: DataType) -> list[Document]:
    """The readings, but for what depends on the way they came."""
    kept = {"_id": 0, "device_id": 1, "topic": 1, "timestamp": 1, "payload": 1, "complete": 1}
    rows = db[datatype.collection].find({}, kept).sort([("device_id", 1), ("timestamp", 1)])
    return [{**row, "payload": dict(sorted(row["payload"].items()))} for row in rows]


@pytest.fixture
def clean(settings: Settings) -> Iterator[Any]:
    """The database with its indexes, and a way to empty it."""
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], get_registry(), settings)
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        yield client[settings.mongo_db_name]


@pytest.mark.parametrize("datatype", STAMPED, ids=lambda datatype: datatype.name)
def test_order_split_and_repetition_change_nothing(datatype: DataType, settings: Settings, clean: Any) -> None:
    sent = packets(datatype)
    store(settings, [sent])
    wanted = content(clean, datatype)
    assert len(wanted) == 12
    _shuffled(datatype, settings, clean, sent, wanted)


def _shuffled(datatype: DataType, using: Settings, db: Any, sent: list[Packet], wanted: list[Document]) -> None:
    @profile(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def search(data: st.DataObject) -> None:
        again = data.draw(st.lists(st.sampled_from(sent), max_size=10), label="again")
        order = data.draw(st.permutations([*sent, *again]), label="order")
        cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4), label="cuts"))
        batches = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
        for name in (datatype.collection, "telemetry_events", "reading_parts"):
            db[name].delete_many({})
        store(using, [batch for batch in batches if batch])
        assert content(db, datatype) == wanted
        assert db.telemetry_events.count_documents({}) == len(order)
        assert db.telemetry_events.count_documents({"outcome": "rejected"}) == 0

    search()
