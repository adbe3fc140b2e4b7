"""Messages with an id and without a stamp: stored once, however often and by whatever process they are delivered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.replay.replay import Replay
from greenpower.mongo.client import async_client
from greenpower.mongo.schema.layout import EVENTS, MESSAGES
from tests.every_kind import EVERY_KIND
from tests.ingest.conftest import Document
from tests.ingest.test_stored_batch import NOW, sent
from tests.ingest.told import Fault, go_through
from tests.mongo.shape import VIEWS, check

REGISTRY = Registry.of(EVERY_KIND)
SECOND = timedelta(seconds=1)


def message(number: int | str | None, used: float, *, after: float = 0, device: str = "D1", **more: Any) -> Arrival:
    body: Document = {"id": device, "used": used, **more}
    if number is not None:
        body["message"] = number
    return sent(body, "EVERY_KIND", received_at=NOW + after * SECOND)


def used(db: Database[Document], device: str = "D1") -> list[float]:
    return [item["payload"]["used"] for item in db[EVERY_KIND.collection].find({"device_id": device}).sort("timestamp")]


def test_a_message_that_comes_again_adds_nothing(settings: Settings, db: Database[Document]) -> None:
    batches = [
        [message(1, 0.5), message(2, 0.5, after=0.1), message(1, 0.5, after=0.2)],  # in one batch
        [message(2, 0.5, after=90), message("a", 2.0, after=91)],  # later, in another process's time
        [message("a", 2.0, after=5000), message(1, 0.5, after=5001, device="D2")],
    ]
    for batch in batches:
        go_through(settings, [batch], registry=REGISTRY)  # each time a process that has just started
    assert used(db) == [0.5, 0.5, 2.0]
    assert used(db, "D2") == [0.5]
    outcomes = [event["outcome"] for event in db[EVENTS].find().sort("received_at")]
    assert outcomes.count("duplicate") == 3 and outcomes.count("stored") == 4
    first = db[EVERY_KIND.collection].find_one({"device_id": "D1"}, sort=[("timestamp", 1)])
    assert first is not None and first["timestamp"] == first["received_at"] == NOW and first["clock"] == "arrival"
    check(list(db[MESSAGES].find()), VIEWS[MESSAGES])


def test_an_id_that_begins_again_is_another_message(settings: Settings, db: Database[Document]) -> None:
    go_through(settings, [[message(1, 0.5)], [message(1, 0.7, after=60)]], registry=REGISTRY)
    assert used(db) == [0.5, 0.7]


def test_messages_without_an_id_are_told_apart_by_their_arrival(settings: Settings, db: Database[Document]) -> None:
    go_through(
        settings, [[message(None, 0.5), message(None, 0.5, after=1)], [message("", 0.5, after=2)]], registry=REGISTRY
    )
    assert used(db) == [0.5, 0.5, 0.5]


def test_a_stamp_goes_before_an_id(settings: Settings, db: Database[Document]) -> None:
    stamps = [(NOW - number * 60 * SECOND).isoformat() for number in (2, 1)]
    go_through(settings, [[message(1, 0.5, time=stamp) for stamp in stamps]], registry=REGISTRY)
    assert used(db) == [0.5, 0.5]
    assert not db[MESSAGES].count_documents({})


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("collection", [MESSAGES, EVERY_KIND.collection])
def test_a_write_that_fails_is_tried_again_and_counts_once(
    settings: Settings, db: Database[Document], collection: str, after: bool
) -> None:
    fault = Fault(collection, after=after, error=AutoReconnect)
    go_through(settings, [[message(1, 0.5)], [message(1, 0.5, after=30)]], fault, registry=REGISTRY)
    assert used(db) == [0.5]


def test_a_message_whose_process_died_before_its_reading_was_stored_is_stored_when_it_comes_again(
    settings: Settings, db: Database[Document]
) -> None:
    go_through(settings, [[message(1, 0.5)]], registry=REGISTRY)
    db[EVERY_KIND.collection].delete_many({})
    db[EVENTS].delete_many({})
    go_through(settings, [[message(1, 0.5, after=30)]], registry=REGISTRY)
    assert used(db) == [0.5]


def test_a_replay_gives_each_message_once(settings: Settings, db: Database[Document]) -> None:
    go_through(settings, [[message(1, 0.5), message(2, 0.25, after=1)], [message(1, 0.5, after=60)]], registry=REGISTRY)
    before = list(db[EVERY_KIND.collection].find({}, {"_id": 0, "payload": 1, "timestamp": 1}).sort("timestamp"))

    async def replay() -> None:
        async with async_client(settings) as client:
            await Replay(
                registry=REGISTRY,
                settings=settings,
                db=client[settings.mongo_db_name],
                datatype=EVERY_KIND,
                since=NOW - 3600 * SECOND,
                until=NOW + 3600 * SECOND,
            ).run()

    asyncio.run(replay())
    after = list(db[EVERY_KIND.collection].find({}, {"_id": 0, "payload": 1, "timestamp": 1}).sort("timestamp"))
    assert after == before and len(after) == 2
