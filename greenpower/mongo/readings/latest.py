"""What is newest of each device, and what is known of the devices of a type: for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS, one_of
from greenpower.mongo.readings.federated import held_by_mongo
from greenpower.mongo.readings.gathered import (
    READING_KEYS,
    SEEN_KEYS,
    NewestValues,
    fold_newest,
    newest_query,
    seen_query,
)


def find_latest(
    readings: Collection[Document], devices: Sequence[str], after: str, limit: int, fields: Mapping[str, Any]
) -> list[Document]:
    """The newest measured reading of each device, in order of devices: those behind `after`, `limit` at most.

    One query: sorting and grouping in the order of the index lets the server skip from device to device, so it costs a
    look-up a device however many readings there are. Raises PyMongoError.
    """
    where = one_of("device_id", devices)
    if after:
        where = {"$and": [where, {"device_id": {"$gt": after}}]}
    group = {"_id": "$device_id", "reading": {"$first": "$_id"}, "timestamp": {"$first": "$timestamp"}}
    pipeline: list[Document] = [
        {"$match": where},
        {"$sort": {"device_id": DESCENDING, "timestamp": DESCENDING}},
        {"$group": {**group, "topic": {"$first": "$topic"}, "payload": {"$first": "$payload"}}},
        {"$sort": {"_id": ASCENDING}},
        {"$limit": limit},
        {"$project": {**fields, "reading": 1, "timestamp": 1, "topic": 1}},
    ]
    with pymongo.timeout(QUERY_SECONDS), held_by_mongo(readings).aggregate(pipeline, allowDiskUse=True) as cursor:
        return [{**row, "_id": row["reading"], "device_id": row["_id"]} for row in cursor]


def add_newest_values(
    readings: Collection[Document],
    seen: Collection[Document],
    type_name: str,
    rows: list[Document],
    names: Sequence[str],
) -> None:
    """Give the newest readings of devices, whose values come one by one, the newest value of each field, and under
    `times` those of fields that are older. names: the fields that are asked for; empty for all. Raises PyMongoError."""
    if not rows:
        return
    newest = {row["device_id"]: row["timestamp"] for row in rows}
    with pymongo.timeout(QUERY_SECONDS):
        fields = list(seen.find(seen_query(type_name, newest), SEEN_KEYS))
        values = fold_newest(readings.find(newest_query(newest, fields), READING_KEYS))
    for row in rows:
        own = values.get(row["device_id"], NewestValues())
        row["payload"] = {name: value for name, value in own.values.items() if not names or name in names}
        older = own.older_than(row["timestamp"])
        row["times"] = {name: time for name, time in older.items() if name in row["payload"]}


def by_time(rows: Sequence[Document]) -> list[Document]:
    """Newest readings with `times`, as one row for each time, in order of devices and times."""
    found: list[Document] = []
    for row in rows:
        payloads: dict[datetime, Document] = {}
        for name, value in row["payload"].items():
            payloads.setdefault(row["times"].get(name, row["timestamp"]), {})[name] = value
        found += [{**row, "timestamp": time, "payload": payloads[time]} for time in sorted(payloads)]
    return found


def find_seen(
    seen: Collection[Document], type_name: str, devices: Sequence[str], after: str, limit: int
) -> list[Document]:
    """The devices of a type that were heard, in order, behind `after`. Raises PyMongoError."""
    # Ids are "type|device"; "}" follows "|".
    span: Document = {"$gt": f"{type_name}|{after}", "$lt": f"{type_name}" + "}"}
    where: Document = {"_id": span}
    if devices:
        where = {"_id": {"$in": [name for device in devices if (name := f"{type_name}|{device}") > span["$gt"]]}}
    with pymongo.timeout(QUERY_SECONDS):
        return list(seen.find(where).sort("_id", ASCENDING).limit(limit))


def find_devices(readings: Collection[Document], limit: int) -> list[str]:
    """The devices that have readings, in order, `limit` at most. Raises PyMongoError."""
    pipeline: list[Document] = [
        {"$sort": {"device_id": DESCENDING, "timestamp": DESCENDING}},
        {"$group": {"_id": "$device_id", "timestamp": {"$first": "$timestamp"}}},
        {"$sort": {"_id": ASCENDING}},
        {"$limit": limit},
    ]
    with pymongo.timeout(QUERY_SECONDS), held_by_mongo(readings).aggregate(pipeline) as cursor:
        return [row["_id"] for row in cursor]
