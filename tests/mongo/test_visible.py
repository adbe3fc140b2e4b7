"""The database of somebody who sees some devices: what is asked, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.mongo.query import count, estimate
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, EXCHANGES, INCIDENTS, PUSH_KEYS, WATERMARKS
from greenpower.mongo.visible import NotVisibleError, VisibleDatabase, limited

Document = dict[str, Any]
AT = datetime(2026, 3, 1, tzinfo=UTC)
DEVICES = frozenset({"B1", "B2"})


@pytest.fixture
def held(mongo_uri: str, mongo_name: str) -> Iterator[Database[Document]]:
    with MongoClient[Document](mongo_uri, tz_aware=True) as client:
        found = client[mongo_name]
        found[INCIDENTS].insert_many([{"device_id": name, "n": 1} for name in ("A1", "B1", "B2", "free")] + [{"n": 1}])
        found[DEVICE_SETTINGS].insert_many([{"_id": name} for name in ("A1", "B1")])
        pairs = [("B1", "A1"), ("A1", "B1"), ("B1", "B2"), ("B2", None)]
        found[EXCHANGES].insert_many([{"device_id": old, "new_device_id": new} for old, new in pairs])
        found[PUSH_KEYS].insert_one({"name": "k"})
        found[WATERMARKS].insert_one({"_id": "w"})
        yield found


def names(rows: Any) -> list[str]:
    return sorted(row["device_id"] for row in rows)


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: names(c.find()),
        lambda c: names(c.find({"n": 1})),
        lambda c: names(c.find({"device_id": {"$in": ["A1", "B1", "B2"]}})),
        lambda c: names(c.find({"device_id": {"$gt": "A"}})),
        lambda c: names(c.find({"$or": [{"device_id": "A1"}, {"n": 1}]})),
        lambda c: sorted(c.distinct("device_id")),
        lambda c: sorted(row["_id"] for row in c.aggregate([{"$group": {"_id": "$device_id"}}])),
        lambda c: names(c.aggregate([{"$match": {"device_id": {"$ne": None}}}])),
        lambda c: sorted(["B1", "B2"][: c.count_documents({})]),
        lambda c: sorted(["B1", "B2"][: count(c, {})]),
        lambda c: sorted(["B1", "B2"][: count(c, {"n": 1})]),
        lambda c: sorted(["B1", "B2"][: estimate(c, {"n": 1}, by="at")]),
        lambda c: sorted(["B1", "B2"][: c.estimated_document_count()]),
    ],
)  # fmt: skip
def test_every_way_to_read_leaves_the_others_out(
    held: Database[Document], ask: Callable[[Collection[Document]], list[str]]
) -> None:
    assert ask(VisibleDatabase(held, DEVICES)[INCIDENTS]) == ["B1", "B2"]
    assert ask(VisibleDatabase(held, frozenset())[INCIDENTS]) == []


def test_one_document_is_found_by_its_id_only_where_it_is_visible(held: Database[Document]) -> None:
    seen = VisibleDatabase(held, DEVICES)[INCIDENTS]
    for document in held[INCIDENTS].find():
        mine = document.get("device_id") in DEVICES
        for where in (document["_id"], {"_id": document["_id"]}):
            assert (seen.find_one(where) is not None) == mine
        changed = seen.update_one({"_id": document["_id"]}, {"$set": {"n": 2}}).modified_count
        assert changed == mine == (seen.find_one_and_update({"_id": document["_id"]}, {"$inc": {"n": 1}}) is not None)
    assert seen.delete_many({}).deleted_count == 2 and held[INCIDENTS].count_documents({"n": 1}) == 3


def test_collections_that_name_devices_otherwise(held: Database[Document]) -> None:
    seen = VisibleDatabase(held, DEVICES)
    assert [row["_id"] for row in seen[DEVICE_SETTINGS].find()] == ["B1"]
    pairs = {(row["device_id"], row["new_device_id"]) for row in seen[EXCHANGES].find()}
    assert pairs == {("B1", "B2"), ("B2", None)}
    assert seen[WATERMARKS].count_documents({}) == 1
    with pytest.raises(NotVisibleError):
        seen[PUSH_KEYS]


def test_devices_are_looked_up_in_the_way_of_the_rollups_only(held: Database[Document]) -> None:
    seen = VisibleDatabase(held, DEVICES)
    match = {"$match": {"$expr": {"$eq": ["$device_id", "$$device"]}}}
    lookup = {"from": INCIDENTS, "let": {"device": "$device_id"}, "pipeline": [match], "as": "found"}
    documents = {"$documents": [{"device_id": {"$literal": name}} for name in ("A1", "B1")]}
    rows = seen.aggregate([documents, {"$lookup": lookup}]).to_list()
    assert names(rows) == ["B1"] and len(rows[0]["found"]) == 1
    pipelines: tuple[list[Document], ...] = (
        [{"$match": {}}],
        [documents, {"$lookup": {**lookup, "pipeline": [{"$match": {}}]}}],
        [documents, {"$lookup": {**lookup, "pipeline": [match, {"$unionWith": INCIDENTS}]}}],
        [documents, {"$unionWith": INCIDENTS}],
    )
    for bad in pipelines:
        with pytest.raises(NotVisibleError):
            seen.aggregate(bad)
    stages: list[Document] = [{"$lookup": lookup}, {"$unionWith": INCIDENTS}, {"$facet": {}}]
    for stage in stages:
        with pytest.raises(NotVisibleError):
            seen[INCIDENTS].aggregate([stage])
    for command in ("find", "dbStats", "aggregate"):
        with pytest.raises(NotVisibleError):
            seen.command(command, INCIDENTS)


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.insert_one({"device_id": "A1"}),
        lambda c: c.insert_many([{"device_id": "B1"}, {"n": 1}]),
        lambda c: c.update_one({"device_id": "A1"}, {"$set": {"n": 2}}, upsert=True),
        lambda c: c.update_many({"n": 5}, {"$set": {"n": 2}}, upsert=True),
        lambda c: c.bulk_write([UpdateOne({"device_id": "A1"}, {"$set": {"n": 2}})]),
        lambda c: c.replace_one({"device_id": "B1"}, {"device_id": "A1"}),
        lambda c: c.with_options(),
        lambda c: c.drop(),
    ],
)  # fmt: skip
def test_nothing_is_written_for_others(held: Database[Document], write: Callable[[Collection[Document]], Any]) -> None:
    before = list(held[INCIDENTS].find())
    with pytest.raises(NotVisibleError):
        write(VisibleDatabase(held, DEVICES)[INCIDENTS])
    assert list(held[INCIDENTS].find()) == before


def test_databases_are_equal_only_with_the_same_devices(held: Database[Document]) -> None:
    one, same, other = (VisibleDatabase(held, frozenset(devices)) for devices in (["B1"], ["B1"], ["B2"]))
    assert one == same and hash(one) == hash(same)
    assert len({held, one, other}) == 3 and held != one and one != other


def test_a_filter_stays_as_narrow_as_it_was() -> None:
    assert limited("x", {"device_id": "B1", "n": 1}, DEVICES) == {"device_id": "B1", "n": 1}
    assert limited("x", {"device_id": "A1"}, DEVICES) == {"device_id": {"$in": []}}
    assert limited("x", {"device_id": {"$in": ["B2", "A1"]}}, DEVICES) == {"device_id": {"$in": ["B2"]}}
    assert limited("x", None, DEVICES) == {"device_id": {"$in": ["B1", "B2"]}}
