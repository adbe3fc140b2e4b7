"""Samples of a generator controller: several messages with one stamp, the device id in only one of them."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from pymongo.database import Database

from tests.ingest.conftest import Document, Publisher, Start, wait_events
from tests.wait import wait_until

TOPIC = "CCCL/PURBACHAL/ENM_01"
BASE = int(time.time() * 1000)


def message(tp: int, **points: Any) -> str:
    """A message with one sample; `p1=5` is point 1."""
    point = [{"id": int(name[1:]), "val": value} for name, value in points.items()]
    return json.dumps({"data": [{"tp": tp, "point": point}]})


@pytest.mark.parametrize("order", range(4))
def test_the_parts_of_a_sample_meet_in_any_order(
    start: Start, publisher: Publisher, db: Database[Document], order: int
) -> None:
    start()
    parts = [message(BASE, p1=229.8, p2=230.1), message(BASE, p3=50.0), message(BASE, p0="GENERATOR_1", p4=1500)]
    random.Random(order).shuffle(parts)
    for index, part in enumerate(parts):
        publisher.send(TOPIC, part)
        publisher.flush()
        if order % 2:
            wait_events(db, index + 1)
    wait_events(db, 3)
    [reading] = db.generator_data.find()
    assert reading["device_id"] == "GENERATOR_1"
    assert reading["payload"] == {"1": 229.8, "2": 230.1, "3": 50.0, "4": 1500}
    wait_until(lambda: db.reading_parts.count_documents({"key": {"$exists": True}}) == 0)


def test_a_message_that_only_names_the_device_joins_what_came_before_and_after(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    start()
    for payload in (message(BASE, p1=1.0), message(BASE, p0="GENERATOR_1"), message(BASE, p2=2.0)):
        publisher.send(TOPIC, payload)
        publisher.flush()
        wait_events(db, 1)
    events = wait_events(db, 3)
    [reading] = db.generator_data.find()
    assert reading["payload"] == {"1": 1.0, "2": 2.0}
    assert {event.get("reason") for event in events} >= {"names-device"}


def test_a_part_whose_device_never_comes_is_noted(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    start()
    publisher.send(TOPIC, message(BASE, p1=1.0))
    [event] = wait_events(db, 1)
    assert (event["outcome"], event["reason"]) == ("noted", "awaiting-id")
    assert db.generator_data.count_documents({}) == 0


def test_several_samples_in_a_message(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    start()
    points = [{"id": 0, "val": "GENERATOR_1"}, {"id": 7, "val": 3.5}]
    publisher.send(TOPIC, json.dumps({"data": [{"tp": BASE - 1000 * n, "point": points} for n in range(3)]}))
    [event] = wait_events(db, 1)
    assert db.generator_data.count_documents({"device_id": "GENERATOR_1"}) == 3
    assert len(event["timestamp"]) == 3
