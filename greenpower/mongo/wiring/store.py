"""Keeping what the checks of the wiring found: one current finding for each device, circuit and fault.

What belongs here: writing what a day showed, dismissing, and reading what is open. What does not: asking the checks
(`greenpower.wiring`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import pymongo
from bson import ObjectId
from pymongo import ReturnDocument, UpdateMany, UpdateOne
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.unaudited import UnauditedEntry, pushed
from greenpower.mongo.wiring.document import CLOSED, OPEN, WiringFindingDocument

Place = tuple[str, str]


def save_findings(
    collection: Collection[Document],
    found: Mapping[Place, Sequence[Mapping[str, Any]]],
    passed: Iterable[tuple[str, str, str]],
    at: datetime,
) -> tuple[int, int]:
    """Store what a day that ended `at` showed. Returns how many findings are new, and how many it closed.

    found: by device and circuit, the keys of a finding other than times and state. passed: (device, circuit, name) of
    faults that a check looked for and did not see. Others stay as they are: nobody looked. An older day changes nothing
    that a newer one has said. Raises PyMongoError; safe to repeat.
    """
    seen: list[UpdateOne] = []
    for (device, circuit), several in found.items():
        for finding in several:
            place = {"device_id": device, "circuit": circuit, "name": finding["name"], "current": True}
            rest = {key: value for key, value in finding.items() if key != "name"}
            change: list[Document] = [
                {
                    "$set": {
                        **{
                            key: {"$cond": [_not_newer(at), {"$literal": value}, f"${key}"]}
                            for key, value in rest.items()
                        },
                        "first_seen": {"$min": ["$first_seen", at]},
                        "last_seen": {"$max": ["$last_seen", at]},
                        "state": {"$ifNull": ["$state", OPEN]},
                    }
                }
            ]
            seen.append(UpdateOne(place, change, upsert=True))
    gone = [
        UpdateMany(
            {"device_id": device, "circuit": circuit, "name": name, "current": True, "last_seen": {"$lt": at}},
            {"$set": {"current": False, "state": CLOSED, "closed_at": at}},
        )
        for device, circuit, name in passed
    ]
    new = len(collection.bulk_write(seen, ordered=False).upserted_ids or ()) if seen else 0
    closed = collection.bulk_write(gone, ordered=False).modified_count if gone else 0
    return new, closed


def _not_newer(at: datetime) -> Document:
    return {"$lte": [{"$ifNull": ["$last_seen", at]}, at]}


def current_places(collection: Collection[Document], devices: Sequence[str]) -> set[tuple[str, str, str]]:
    """(device, circuit, name) of the current findings of some devices. Raises PyMongoError."""
    query = {"device_id": {"$in": list(devices)}, "current": True}
    shown = {"device_id": 1, "circuit": 1, "name": 1}
    return {(one["device_id"], one["circuit"], one["name"]) for one in collection.find(query, shown)}


def open_findings(
    collection: Collection[Document], devices: Sequence[str] | None = None
) -> Iterator[WiringFindingDocument]:
    """The findings that are open, oldest first; those that people dismissed are not. devices: None for all. Raises
    PyMongoError."""
    query: Document = {"state": OPEN, "current": True}
    if devices is not None:
        query["device_id"] = {"$in": list(devices)}
    yield from cast("Iterable[WiringFindingDocument]", collection.find(query).sort([("first_seen", 1), ("_id", 1)]))


def find_current(collection: Collection[Document], finding: ObjectId) -> WiringFindingDocument | None:
    """A finding that is not closed. Raises PyMongoError, soon."""
    with pymongo.timeout(QUERY_SECONDS):
        return cast("WiringFindingDocument | None", collection.find_one({"_id": finding, "current": True}))


def judge_finding(
    collection: Collection[Document],
    finding: ObjectId,
    state: str,
    user: str,
    note: str,
    now: datetime,
    entry: UnauditedEntry | None,
) -> WiringFindingDocument | None:
    """Keep what a person says of a current finding: that it is as intended (`dismissed`), or is `open` again. None if
    there is none. Raises PyMongoError, soon."""
    change = {"$set": {"state": state, "dismissed_by": user, "dismissed_at": now, "note": note}}
    with pymongo.timeout(QUERY_SECONDS):
        found = collection.find_one_and_update(
            {"_id": finding, "current": True}, pushed(change, entry), return_document=ReturnDocument.AFTER
        )
    return cast("WiringFindingDocument | None", found)


def count_findings(collection: Collection[Document]) -> dict[tuple[str, str], int]:
    """How many current findings there are, by name and state. Raises PyMongoError, soon."""
    pipeline: list[Document] = [
        {"$match": {"current": True}},
        {"$group": {"_id": {"name": "$name", "state": "$state"}, "count": {"$sum": 1}}},
    ]
    with pymongo.timeout(QUERY_SECONDS), collection.aggregate(pipeline) as cursor:
        return {(row["_id"]["name"], row["_id"]["state"]): row["count"] for row in cursor}
