"""Batches in flight at once, and what one bad frame of a batch costs the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings
from greenpower.datatype import Answer, DataType, Field, Frame, Mqtt, Reading
from greenpower.datatype.command import Command, Message, Order
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.steps.events import AMEND_LOOKS
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from tests.ingest.conftest import Document
from tests.ingest.steps.test_pairing import message
from tests.ingest.test_stored_batch import GENERATOR, NOW, TP, outcomes, rt, sent
from tests.ingest.told import UnforeseenError, go_through


class SlowEvents:
    """The collection of events. The first insert waits until an amendment was tried for so many times.

    looked: the amendment that was tried last goes on only when the event is there.
    """

    def __init__(self, collection: Any, tries: int, *, looked: bool) -> None:
        self._collection = collection
        self._left = tries
        self._looked = looked
        self._amended = asyncio.Event()
        self._written = asyncio.Event()

    async def insert_many(self, documents: Iterable[Document], **options: Any) -> Any:
        documents = list(documents)
        if any(document.get("reason") == "awaiting-id" for document in documents):
            await self._amended.wait()
            await self._collection.insert_many(documents, **options)
            return self._written.set()
        return await self._collection.insert_many(documents, **options)

    async def bulk_write(self, changes: Any, **options: Any) -> Any:
        try:
            return await self._collection.bulk_write(changes, **options)
        finally:
            self._left -= 1
            if self._left == 0:
                self._amended.set()
                if self._looked:
                    await self._written.wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)


class SlowDatabase:
    """A database whose events are slow."""

    def __init__(self, db: Any, tries: int, *, looked: bool) -> None:
        self._db = db
        self._events = SlowEvents(db["telemetry_events"], tries, looked=looked)

    def __getitem__(self, name: str) -> Any:
        return self._events if name == "telemetry_events" else self._db[name]


@pytest.mark.parametrize("looked", [False, True], ids=["later", "between-two-looks"])
@pytest.mark.parametrize("tries", [1, 3, AMEND_LOOKS + 5])
def test_a_fragment_that_is_joined_before_its_event_is_written_has_device_and_time_in_it(
    settings: Settings, db: Database[Document], tries: int, looked: bool
) -> None:
    registry = get_registry()
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], registry, settings)

    async def run() -> None:
        async with async_client(settings) as client:
            slow: Any = SlowDatabase(client[settings.mongo_db_name], tries, looked=looked)
            pipeline = Pipeline(registry=registry, settings=settings, db=slow, metrics=IngestMetrics())
            pipeline.submit(sent(message(TP, p1=1.0)))
            while db.reading_parts.count_documents({"key": {"$exists": True}}) == 0:
                await asyncio.sleep(0.02)
            pipeline.submit(sent(message(TP, p0=GENERATOR, p2=2.0)))
            async with asyncio.timeout(60):
                await pipeline.drain()

    asyncio.run(run())
    waited = db.telemetry_events.find_one({"reason": "awaiting-id"})
    assert waited is not None
    assert (waited.get("device_id"), waited.get("timestamp")) == (GENERATOR, NOW)
    assert db.reading_parts.count_documents({"key": {"$exists": True}}) == 0


def test_a_step_that_fails_for_every_frame_costs_a_few_lines_of_the_log(
    settings: Settings, db: Database[Document], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise UnforeseenError("every time")

    monkeypatch.setattr("greenpower.ingest.steps.timekeeper.Timekeeper.settle", fail)
    go_through(settings, [[rt(time=NOW - timedelta(seconds=number)) for number in range(100)]])
    assert outcomes(db) == [("rejected", "internal-error")] * 100
    assert 1 < sum(record.exc_info is not None for record in caplog.records) < 10


def parse_nothing(frame: Frame) -> tuple[Reading, ...]:
    return ()


def read_answer(frame: Frame) -> Answer:
    body = json.loads(frame.payload)
    return Answer(device_id="D1", operation=body["operation"], ok=True, values=body["values"])


def build(order: Order) -> Message:
    return Message(topic="ASK", payload=b"")


ASKED = DataType(
    name="asked", title="Asked", endpoint="asked-data", collection="asked_data", match=(Mqtt("ASKED"),),
    parse=parse_nothing, fields=(Field("volts", unit="V"),), stale_after=60,
    commands=(Command(name="ask", title="Ask", build=build, answer="ANSWERS", read_answer=read_answer),),
)  # fmt: skip


def test_an_answer_that_cannot_be_kept_costs_no_other(settings: Settings, db: Database[Document]) -> None:
    """A plugin gives a value that is no text."""
    good, bad = uuid4().hex, uuid4().hex

    def answer(operation: str, values: Document) -> Arrival:
        return sent({"operation": operation, "values": values}, "ANSWERS")

    go_through(settings, [[answer(bad, {"volts": 5}), answer(good, {"volts": "5"})]], registry=Registry.of(ASKED))
    assert [document["operation"] for document in db.command_answers.find()] == [good]
    events = list(db.telemetry_events.find().sort("_id"))
    assert [event["outcome"] for event in events] == ["noted", "noted"]
    assert ["detail" in event for event in events] == [True, False]
