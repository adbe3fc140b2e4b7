"""What is newest of each device, and what is known of the devices of a type: for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS, one_of


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
    with pymongo.timeout(QUERY_SECONDS), readings.aggregate(pipeline, allowDiskUse=True) as cursor:
        return [{**row, "_id": row["reading"], "device_id": row["_id"]} for row in cursor]


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
    with pymongo.timeout(QUERY_SECONDS), readings.aggregate(pipeline) as cursor:
        return [row["_id"] for row in cursor]
