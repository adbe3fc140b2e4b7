"""Reading what rollups are computed from: documents of a stretch of time, and samples around it by count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection as AnyOf
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, CursorType
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import FederatedReadings, devices_held, held_by_mongo

DEVICES_PER_QUERY = 500
DOCUMENTS_PER_BATCH = 2_000
READING = {"_id": 0, "device_id": 1, "timestamp": 1, "payload": 1, "clock": 1}
STATES = {"_id": 0, "timestamp": 1, "stats": 1, "holds": 1, "final": 1}
MERGED = {**STATES, "device_id": 1, "blocks": 1, "coverage": 1}
BUCKET = {**MERGED, "payload": 1}

# Within a lookup for a device.
OF_DEVICE: Document = {"$match": {"$expr": {"$eq": ["$device_id", "$$device"]}}}

Key = tuple[str, datetime]


def query_of(begin: datetime, end: datetime, devices: Sequence[str] | None) -> Document:
    """What matches the documents of `[begin, end)`. devices: None for all."""
    query: Document = {"timestamp": {"$gte": begin, "$lt": end}}
    if devices is not None:
        query["device_id"] = devices[0] if len(devices) == 1 else {"$in": list(devices)}
    return query


def by_device(
    collection: Collection[Document],
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None,
    projection: dict[str, Any] | None,
) -> dict[str, list[Document]]:
    """The documents of `[begin, end)` by device, in order of time. devices: None for all."""
    found: defaultdict[str, list[Document]] = defaultdict(list)
    order, kind = sort_order(devices), cursor_type(collection)
    query = query_of(begin, end, devices)
    cursor = collection.find(query, projection, sort=order, batch_size=DOCUMENTS_PER_BATCH, cursor_type=kind)
    # Batch by batch: a third of what going through the cursor costs.
    for document in cursor.to_list():
        found[document["device_id"]].append(document)
    return dict(found)


def sort_order(devices: Sequence[str] | None) -> list[tuple[str, int]]:
    """By device and time, as an index has them; of all devices by time alone."""
    return [("timestamp", ASCENDING)] if devices is None else [("device_id", ASCENDING), ("timestamp", ASCENDING)]


def cursor_type(collection: Collection[Document]) -> int:
    """Streaming, the server reads on while a batch is decoded here; a router does not know how."""
    return CursorType.NON_TAILABLE if collection.database.client.is_mongos else CursorType.EXHAUST


def fields_within(collection: Collection[Document], device: str, begin: datetime, end: datetime) -> set[str]:
    """The fields that a device's readings of `[begin, end)` have."""
    query = query_of(begin, end, [device])
    if isinstance(collection, FederatedReadings):
        if collection.reaches_archive(query):
            return {name for document in collection.find(query, {"payload": 1}) for name in document["payload"]}
        collection = collection.held
    stages: list[Document] = [
        {"$match": query},
        {"$group": {"_id": None, "payload": {"$mergeObjects": "$payload"}}},
    ]
    return {name for row in collection.aggregate(stages) for name in row["payload"]}


def keys(collection: Collection[Document], begin: datetime, end: datetime, devices: Sequence[str] | None) -> set[Key]:
    """Which documents there are in `[begin, end)`."""
    cursor = collection.find(query_of(begin, end, devices), {"_id": 0, "device_id": 1, "timestamp": 1})
    return {(document["device_id"], document["timestamp"]) for document in cursor}


def devices_of(collection: Collection[Document]) -> list[str]:
    """All devices of a collection, found by skipping from one to the next in the index: the cost is that of the
    devices, not of the documents."""
    if isinstance(collection, FederatedReadings):
        return sorted(collection.list_devices({}))
    return sorted(devices_held(collection))


def devices_within(collection: Collection[Document], begin: datetime, end: datetime) -> list[str]:
    """The devices that have documents in `[begin, end)`. The cost is that of the documents."""
    query = query_of(begin, end, None)
    if isinstance(collection, FederatedReadings):
        if collection.reaches_archive(query):
            return sorted(collection.list_devices(query))
        collection = collection.held
    stages: list[Document] = [{"$match": query}, {"$group": {"_id": "$device_id"}}]
    return sorted(row["_id"] for row in collection.aggregate(stages))


def count_within(
    collection: Collection[Document],
    begin: datetime,
    end: datetime,
    limit: int | None = None,
    *,
    devices: Sequence[str] | None = None,
) -> int:
    """How many documents there are in `[begin, end)`, counted up to `limit`. devices: None for all."""
    options: dict[str, Any] = {} if limit is None else {"limit": limit}
    if devices is None:
        options["hint"] = [("timestamp", ASCENDING)]
    return collection.count_documents(query_of(begin, end, devices), **options)


def first_time(collection: Collection[Document], since: datetime | None = None) -> datetime | None:
    """The earliest timestamp that is not before `since`."""
    query: Document = {} if since is None else {"timestamp": {"$gte": since}}
    return _time(collection, query, ASCENDING)


def any_before(collection: Collection[Document], time: datetime) -> bool:
    """Whether there is any document before a time."""
    if isinstance(collection, FederatedReadings) and time >= collection.young_from:
        return True
    return _time(collection, {"timestamp": {"$lt": time}}, ASCENDING) is not None


def _time(collection: Collection[Document], query: Document, direction: int) -> datetime | None:
    found = collection.find_one(query, {"_id": 0, "timestamp": 1}, sort=[("timestamp", direction)])
    return None if found is None else found["timestamp"]


def newest_before(
    collection: Collection[Document],
    buckets: Collection[Document],
    devices: Sequence[str],
    time: datetime,
    limit: int,
    most_buckets: int,
    most_times: int = 0,
) -> Iterator[tuple[str, list[Document], list[Document], list[datetime]]]:
    """For each device its newest `limit` readings, its newest buckets of a tier and the times of its newest readings
    before a time, in order. One query for many devices."""
    stages = [_lookup(collection.name, time, limit, READING, "readings")]
    if most_buckets:
        stages.append(_lookup(buckets.name, time, most_buckets, STATES, "buckets"))
    if most_times:
        times = _lookup(collection.name, time, most_times, {"_id": 0, "timestamp": 1}, "times")
        times["$lookup"]["pipeline"].append({"$group": {"_id": None, "times": {"$push": "$timestamp"}}})
        stages.append(times)
    for part in _parts(devices):
        for row in held_by_mongo(collection).database.aggregate([*_documents(part), *stages]):
            found = [time for group in row.get("times", ()) for time in group["times"]]
            readings, device = row["readings"], row["device_id"]
            if isinstance(collection, FederatedReadings):
                readings = _with_archived(collection, device, time, limit, READING, readings)
                if most_times and _may_be_archived(collection, most_times, found):
                    shown = {"_id": 0, "timestamp": 1}
                    found = [document["timestamp"] for document in _newest(collection, device, time, most_times, shown)]
            yield device, readings[::-1], row.get("buckets", [])[::-1], found[::-1]


def newest_documents(
    collection: Collection[Document],
    devices: Sequence[str],
    time: datetime,
    limit: int,
    projection: Document,
    where: Document | None = None,
) -> Iterator[tuple[str, list[Document]]]:
    """For each device its newest `limit` documents before a time, in order. where: a further condition. One query for
    many devices."""
    for part in _parts(devices):
        lookup = _lookup(collection.name, time, limit, projection, "found", where)
        for row in held_by_mongo(collection).database.aggregate([*_documents(part), lookup]):
            found = row["found"]
            if isinstance(collection, FederatedReadings):
                found = _with_archived(collection, row["device_id"], time, limit, projection, found, where)
            yield row["device_id"], found[::-1]


def _with_archived(
    collection: FederatedReadings,
    device: str,
    time: datetime,
    limit: int,
    projection: Document,
    found: list[Document],
    where: Document | None = None,
) -> list[Document]:
    """A device's newest readings before a time, newest first. found: those that MongoDB has."""
    times = [document.get("timestamp") for document in found]
    if not _may_be_archived(collection, limit, times):
        return found
    return _newest(collection, device, time, limit, projection, where)


def _may_be_archived(collection: FederatedReadings, limit: int, times: Sequence[datetime | None]) -> bool:
    """Whether of the newest readings some may be archived. times: of those that MongoDB has, newest first."""
    return len(times) < limit or times[-1] is None or times[-1] < collection.young_from


def _newest(
    collection: FederatedReadings,
    device: str,
    time: datetime,
    limit: int,
    projection: Document,
    where: Document | None = None,
) -> list[Document]:
    query = {"device_id": device, "timestamp": {"$lt": time}, **(where or {})}
    return list(collection.find(query, projection).sort("timestamp", DESCENDING).limit(limit))


def oldest_documents(
    collection: Collection[Document], devices: Sequence[str], projection: Document
) -> Iterator[tuple[str, Document]]:
    """For each device that has any document its oldest one. One query for many devices."""
    stages: list[Document] = [OF_DEVICE, {"$sort": {"timestamp": ASCENDING}}, {"$limit": 1}, {"$project": projection}]
    return _first_found(collection, devices, stages)


def devices_with(collection: Collection[Document], devices: Sequence[str], where: Document) -> Iterator[str]:
    """The devices that have a document with a condition. One query for many devices."""
    stages: list[Document] = [{"$match": {**OF_DEVICE["$match"], **where}}, {"$limit": 1}, {"$project": {"_id": 1}}]
    return (device for device, _ in _first_found(collection, devices, stages))


def _first_found(
    collection: Collection[Document], devices: Sequence[str], stages: Sequence[Document]
) -> Iterator[tuple[str, Document]]:
    for part in _parts(devices):
        lookup = {"from": collection.name, "let": {"device": "$device_id"}, "pipeline": stages, "as": "found"}
        for row in collection.database.aggregate([*_documents(part), {"$lookup": lookup}]):
            if row["found"]:
                yield row["device_id"], row["found"][0]


def _parts(devices: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(devices), DEVICES_PER_QUERY):
        yield devices[first : first + DEVICES_PER_QUERY]


def _documents(devices: Sequence[str]) -> list[Document]:
    return [{"$documents": [{"device_id": {"$literal": device}} for device in devices]}]


def _lookup(
    collection: str, time: datetime, limit: int, projection: Document, name: str, where: Document | None = None
) -> Document:
    match: Document = {"$expr": {"$eq": ["$device_id", "$$device"]}, "timestamp": {"$lt": time}, **(where or {})}
    stages: list[Document] = [
        {"$match": match},
        {"$sort": {"timestamp": DESCENDING}},
        {"$limit": limit},
        {"$project": projection},
    ]
    return {"$lookup": {"from": collection, "let": {"device": "$device_id"}, "pipeline": stages, "as": name}}


def neighbours(
    collection: Collection[Document],
    device: str,
    time: datetime,
    limit: int,
    *,
    before: bool,
    fields: AnyOf[str] = (),
    having: str | None = None,
    limited: datetime | None = None,
) -> list[Document]:
    """A device's `limit` readings next to a time, in order: those before it, or those from it on, however far away.

    fields: only these are given; all if it is empty. having: only readings with a number there. limited: only from this
    time on, of those before; only those before it, of those after.
    """
    times: Document = {"$lt": time} if before else {"$gte": time}
    if limited is not None:
        times["$gte" if before else "$lt"] = limited
    query: Document = {"device_id": device, "timestamp": times}
    shown: Document = {"_id": 0, "timestamp": 1, "clock": 1}
    shown |= {f"payload.{field}": 1 for field in fields} or {"payload": 1}
    if having is not None:
        query[f"payload.{having}"] = {"$type": "number"}
    found = list(collection.find(query, shown).sort("timestamp", DESCENDING if before else ASCENDING).limit(limit))
    return found[::-1] if before else found
