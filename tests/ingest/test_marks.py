"""Marks: late readings, new or duplicate, are marked before they are acknowledged; those in time are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pymongo.database import Database

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

    publisher.send("MQTT_RT_DATA", frame(DEVICE, late))
    publisher.flush()
    wait_events(db, 3)
    [again] = db.rollup_marks.find()
    assert again["count"] == 2
    assert again["token"] != mark["token"]
