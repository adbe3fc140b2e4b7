"""Filters and projections on archived readings mean what they mean in MongoDB."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from greenpower.archive.filter import AskedSpan, asked_span, is_of_span, matches, paths_of
from greenpower.archive.projection import Shown

AT = datetime(2026, 3, 4, 5, 6, 7, 123_000, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
ODD = timedelta(microseconds=400)  # MongoDB gets whole milliseconds
ID = ObjectId("65f000000000000000000005")
READING: dict[str, Any] = {
    "_id": ID,
    "device_id": "M1",
    "timestamp": AT,
    "payload": {"volts": 230.5, "text": "on", "flag": True, "none": None},
    "complete": True,
}


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ({}, True),
        ({"device_id": "M1"}, True),
        ({"device_id": "M2"}, False),
        ({"device_id": {"$in": ["M0", "M1"]}}, True),
        ({"device_id": {"$in": []}}, False),
        ({"device_id": {"$gt": "M0"}}, True),
        ({"device_id": {"$gt": "M1"}}, False),
        ({"timestamp": AT + ODD}, True),
        ({"timestamp": {"$gte": AT + ODD}}, True),
        ({"timestamp": {"$gt": AT + ODD}}, False),
        ({"timestamp": {"$lt": AT}}, False),
        ({"timestamp": {"$lte": AT, "$gte": AT}}, True),
        ({"timestamp": {"$gt": "2026"}}, False),  # another kind
        ({"payload.volts": {"$type": "number"}}, True),
        ({"payload.flag": {"$type": "number"}}, False),
        ({"payload.text": {"$type": "number"}}, False),
        ({"payload.gone": {"$exists": False}}, True),
        ({"payload.none": {"$exists": True}}, True),
        ({"payload.gone": None}, True),
        ({"payload.volts": 230.5}, True),
        ({"payload.flag": 1}, False),
        ({"_id": {"$lt": ID}}, False),
        ({"_id": {"$in": [ID]}}, True),
        ({"$and": [{"device_id": "M1"}, {"timestamp": {"$lt": AT}}]}, False),
        ({"$or": [{"timestamp": {"$lt": AT}}, {"device_id": {"$gt": "M0"}}]}, True),
        ({"$nor": [{"device_id": "M2"}]}, True),
        ({"device_id": {"$ne": "M1"}}, False),
    ],
)
def test_what_a_filter_matches(where: dict[str, Any], fits: bool) -> None:
    assert matches(where, READING) is fits


@pytest.mark.parametrize("where", [{"$text": {}}, {"device_id": {"$regex": "M"}}, {"payload.volts": {"$type": 2}}])
def test_what_is_not_known_is_not_guessed(where: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        matches(where, READING)


@pytest.mark.parametrize(
    ("where", "span", "whole"),
    [
        ({}, AskedSpan(), True),
        ({"device_id": "M1"}, AskedSpan(devices=["M1"]), True),
        ({"device_id": {"$in": ["B", "A"]}}, AskedSpan(devices=["A", "B"]), True),
        ({"timestamp": {"$gte": AT + ODD, "$lte": AT + ODD}}, AskedSpan(begin=AT, end=AT + TICK), True),
        ({"timestamp": {"$gt": AT, "$lt": AT + TICK}}, AskedSpan(begin=AT + TICK, end=AT + TICK), True),
        ({"timestamp": AT}, AskedSpan(begin=AT, end=AT + TICK), True),
        (
            {"$and": [{"timestamp": {"$gte": AT}}, {"timestamp": {"$gte": AT + TICK}, "device_id": "M1"}]},
            AskedSpan(devices=["M1"], begin=AT + TICK),
            True,
        ),
        ({"$and": [{"device_id": {"$in": ["A", "B"]}}, {"device_id": "B"}]}, AskedSpan(devices=["B"]), True),
        ({"device_id": {"$gt": "M1"}}, AskedSpan(), False),
        ({"$or": [{"timestamp": {"$gte": AT}}, {"device_id": "M1"}]}, AskedSpan(), False),
        ({"timestamp": {"$in": [AT, AT + TICK]}}, AskedSpan(begin=AT, end=AT + 2 * TICK), False),
        (
            {
                "$or": [
                    {"device_id": "M1", "timestamp": {"$gte": AT, "$lte": AT}},
                    {"device_id": "M2", "timestamp": {"$in": [AT + TICK]}},
                ],
                "timestamp": {"$gte": AT - TICK},
            },
            AskedSpan(devices=["M1", "M2"], begin=AT, end=AT + 2 * TICK),
            False,
        ),
        ({"payload.volts": 1}, AskedSpan(), False),
    ],
)
def test_the_span_of_a_filter(where: dict[str, Any], span: AskedSpan, whole: bool) -> None:
    assert asked_span(where) == span
    assert is_of_span(where) is whole


def test_the_paths_of_a_filter() -> None:
    where = {"$and": [{"device_id": "a"}, {"$or": [{"timestamp": AT}, {"payload.x": 1}]}], "_id": 1}
    assert paths_of(where) == {"device_id", "timestamp", "payload.x", "_id"}


@pytest.mark.parametrize(
    ("projection", "shown"),
    [
        (None, READING),
        ({}, READING),
        ({"_id": 0}, {name: value for name, value in READING.items() if name != "_id"}),
        ({"timestamp": 1}, {"_id": ID, "timestamp": AT}),
        ({"_id": 0, "timestamp": 1, "device_id": 1}, {"device_id": "M1", "timestamp": AT}),
        ({"_id": 0, "payload.volts": 1, "payload.gone": 1}, {"payload": {"volts": 230.5}}),
        ({"_id": 0, "payload.gone": 1}, {"payload": {}}),
        ({"_id": 0, "payload": 1}, {"payload": READING["payload"]}),
        (["device_id"], {"_id": ID, "device_id": "M1"}),
        ({"payload": 0, "_id": 0, "complete": 0}, {"device_id": "M1", "timestamp": AT}),
    ],
)
def test_what_a_projection_shows(projection: Mapping[str, Any] | list[str] | None, shown: dict[str, Any]) -> None:
    found = Shown(projection).of(dict(READING))
    assert found == shown and list(found) == list(shown)


def test_which_values_have_to_be_read() -> None:
    assert Shown(None).payload_fields() is None
    assert Shown({"payload": 1}).payload_fields() is None
    assert Shown({"timestamp": 1}).payload_fields() == []
    assert Shown({"payload.b": 1}).payload_fields({"payload.a", "device_id"}) == ["a", "b"]


@pytest.mark.parametrize("projection", [{"x": {"$slice": 1}}, {"a.b.c": 1}, {"a": 1, "b": 0}, {"payload.x": 0}])
def test_what_no_reader_shows(projection: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        Shown(projection)
