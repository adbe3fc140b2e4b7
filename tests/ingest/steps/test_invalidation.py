"""Marks: late readings, new or duplicate, are marked before they are acknowledged; those in time are not."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

from pymongo import AsyncMongoClient
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.invalidation import Invalidator
from greenpower.mongo.rollups.invalidations import read_invalidations, remove_invalidations
from tests.ingest.conftest import Document, Publisher, Start, frame, wait_events

DEVICE = "33B1225950027"


def test_late_readings_are_marked_and_others_not(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    start()
    now = datetime.now(UTC).replace(microsecond=0)
    publisher.send("MQTT_RT_DATA", frame(DEVICE, now))
    publisher.flush()
    wait_events(db, 1)
    assert db.rollup_marks.count_documents({}) == 0

    late = now - timedelta(hours=5)
    publisher.send("MQTT_RT_DATA", frame(DEVICE, late))
    publisher.flush()
    wait_events(db, 2)
    [mark] = db.rollup_marks.find()
    assert (mark["type"], mark["prefix"], mark["device_id"], mark["count"]) == ("rt", "today_", DEVICE, 1)
    assert mark["hour"] == late.replace(minute=0, second=0)

    # It is known to be marked still: that is enough for all that is stored before it is read.
    publisher.send("MQTT_RT_DATA", frame(DEVICE, late))
    publisher.send("MQTT_RT_DATA", frame(DEVICE, late + timedelta(seconds=1)))
    publisher.flush()
    wait_events(db, 4)
    assert list(db.rollup_marks.find()) == [mark]


def test_what_was_read_meanwhile_is_marked_again(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    start()
    late = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    publisher.send("MQTT_RT_DATA", frame(DEVICE, late))
    publisher.flush()
    wait_events(db, 1)
    for number in range(2, 5):
        [mark] = read_invalidations(db.rollup_marks, "rt", "today_", 10)
        publisher.send("MQTT_RT_DATA", frame(DEVICE, late))  # a duplicate may be one whose mark was never set
        publisher.flush()
        wait_events(db, number)
        [again] = db.rollup_marks.find()
        assert again["count"] == number
        remove_invalidations(db.rollup_marks, [mark])
        assert db.rollup_marks.count_documents({}) == 1
    [mark] = read_invalidations(db.rollup_marks, "rt", "today_", 10)
    remove_invalidations(db.rollup_marks, [mark])
    assert db.rollup_marks.count_documents({}) == 0
    publisher.send("MQTT_RT_DATA", frame(DEVICE, late))
    publisher.flush()
    wait_events(db, 5)
    assert db.rollup_marks.count_documents({}) == 1


def test_no_reading_falls_between_marking_and_reading_marks(db: Database[Document], mongo_uri: str) -> None:
    """Many turns of storing and marking beside somebody who reads marks, then readings, then removes the marks: what
    was stored is seen by the reading after its mark, or its mark is still there."""
    stored: list[int] = []
    seen: set[int] = set()
    ended = threading.Event()
    hour = datetime(2026, 3, 1, tzinfo=UTC)

    async def store() -> None:
        async with AsyncMongoClient[Document](mongo_uri, tz_aware=True) as client:
            invalidator = Invalidator(client[db.name].rollup_marks, lambda error: None)
            for number in range(400):
                stored.append(number)
                await invalidator.invalidate([late_reading(hour)])

    def consume() -> None:
        while not ended.is_set():
            marks = read_invalidations(db.rollup_marks, "rt", "today_", 10)
            if marks:
                seen.update(stored)
                remove_invalidations(db.rollup_marks, marks)

    consumer = threading.Thread(target=consume)
    consumer.start()
    try:
        asyncio.run(store())
    finally:
        ended.set()
        consumer.join()
    if missed := set(stored) - seen:
        assert db.rollup_marks.count_documents({}) == 1, f"{len(missed)} of {len(stored)} are lost"


def late_reading(time: datetime) -> FrameReading:
    arrival = Arrival(topic="MQTT_RT_DATA", payload=b"", received_at=time, source="mqtt", datatype=get_registry()["rt"])
    return FrameReading(arrival, DEVICE, time, {}, True, time=time)
