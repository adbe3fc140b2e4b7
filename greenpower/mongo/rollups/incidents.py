"""Incidents of counters, kept for good, and the operator's decisions on them.

One document per incident: {_id, type, device_id, field, at, swap, incident, value, before, before_at, correction,
status, current, found_at, updated_at}, unique by type, device, field and time. `correction` is what it adds to the
energy, as it is counted now. status: `noted` where there is nothing to decide, `open`, then `confirmed` (it is real) or
`rejected`. `current` turns false when later readings show that there was no incident. A meter swap is one, too: there
`swap` is true, and it has the readings `last` and `first`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.measure.counter.register import CounterEvent
from greenpower.measure.counter.rules import Incident, OperatorDecision, Swap
from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document

OPEN = "open"
NOTED = "noted"
CONFIRMED = "confirmed"
REJECTED = "rejected"

SUSPECT = frozenset({Incident.STEP, Incident.RESTART})
# Those that an operator can confirm or reject.
DECIDABLE = SUSPECT | {Incident.RESET, Incident.ROLLOVER}

OperatorDecisions = dict[str, dict[str, OperatorDecision]]
Found = tuple[str, CounterEvent]
Stretch = tuple[str, datetime, datetime]


def read_decisions(collection: Collection[Document], type_name: str) -> OperatorDecisions:
    """The operator's decisions on a type's counters: {device: {field: decision}}."""
    swaps: defaultdict[tuple[str, str], list[Swap]] = defaultdict(list)
    verdicts: defaultdict[tuple[str, str], dict[datetime, bool]] = defaultdict(dict)
    query = {"type": type_name, "status": {"$in": [CONFIRMED, REJECTED]}}
    for document in collection.find(query).sort("at"):
        place = (document["device_id"], document["field"])
        if document["swap"]:
            swaps[place].append(Swap(at=document["at"], last=document["last"], first=document["first"]))
        else:
            verdicts[place][document["at"]] = document["status"] == CONFIRMED
    decisions: OperatorDecisions = {}
    for device, field in swaps.keys() | verdicts.keys():
        decision = OperatorDecision(swaps=tuple(swaps[device, field]), verdicts=verdicts[device, field])
        decisions.setdefault(device, {})[field] = decision
    return decisions


def save_incidents(
    collection: Collection[Document],
    type_name: str,
    found: Iterable[Found],
    stretches: Iterable[Stretch],
    as_of: datetime,
) -> None:
    """Keep the incidents that were found in stretches `(device, begin, end)`.

    One that is on record there and was not found again is no longer current. What a later `as_of` has written stays;
    what is unchanged gets this `as_of`. Raises PyMongoError; saving again is safe.
    """
    wanted = {(device, item.field, item.at): item for device, item in found}
    there: dict[tuple[str, str, datetime], Document] = {}
    stretches = list(stretches)
    if not stretches:
        return
    begin, end = min(stretch[1] for stretch in stretches), max(stretch[2] for stretch in stretches)
    query: Document = {"type": type_name, "at": {"$gte": begin, "$lt": end}, "swap": False}
    devices = {stretch[0] for stretch in stretches}
    if len(devices) == 1:
        query["device_id"] = next(iter(devices))
    for document in collection.find(query):
        there[document["device_id"], document["field"], document["at"]] = document
    now = datetime.now(UTC)
    older = {"as_of": {"$not": {"$gte": as_of}}}
    changes: list[tuple[Document, Document]] = []
    for key, item in wanted.items():
        known = there.get(key)
        change = _change(item, known, now)
        if known is not None and change is None:
            changes.append(({"_id": known["_id"], **older}, {"$set": {}}))
        elif change is not None:
            place = {"type": type_name, "device_id": key[0], "field": key[1], "at": key[2], "swap": False}
            changes.append(({**place, **older}, change))
    covered = defaultdict(list)
    for device, since, until in stretches:
        covered[device].append((since, until))
    for key, document in there.items():
        computed = any(since <= document["at"] < until for since, until in covered[document["device_id"]])
        if computed and key not in wanted:
            gone = {"current": False, "updated_at": now} if document["current"] else {}
            changes.append(({"_id": document["_id"], **older}, {"$set": gone}))
    if not changes:
        return
    for _, change in changes:
        change["$set"]["as_of"] = as_of
    try:
        collection.bulk_write(
            [UpdateOne(where, change, upsert="_id" not in where) for where, change in changes], ordered=False
        )
    except BulkWriteError as error:
        read_duplicates(error)  # the upsert meets the newer document that its filter did not


def incidents_at(
    collection: Collection[Document], type_name: str, begin: datetime, end: datetime, as_of: datetime
) -> set[tuple[str, datetime]]:
    """(device, time) of the incidents in `[begin, end)` that one `as_of` found. Raises PyMongoError."""
    query = {"type": type_name, "at": {"$gte": begin, "$lt": end}, "as_of": as_of}
    found = collection.find(query, {"_id": 0, "device_id": 1, "at": 1})
    return {(document["device_id"], document["at"]) for document in found}


def _change(item: CounterEvent, there: Document | None, now: datetime) -> Document | None:
    content: Document = {
        "incident": item.incident.value,
        "value": item.value,
        "before": item.before,
        "before_at": item.before_at,
        "correction": None if item.correction is None else float(item.correction),
        "current": True,
    }
    if there is not None and all(there.get(name) == value for name, value in content.items()):
        return None
    status = OPEN if item.incident in SUSPECT else NOTED
    change: Document = {"$set": {**content, "updated_at": now}, "$setOnInsert": {"status": status, "found_at": now}}
    if there is not None and there["status"] in (OPEN, NOTED) and there["status"] != status:
        # In one place only: the server takes no update that says it twice.
        change["$set"]["status"] = change["$setOnInsert"].pop("status")
    return change


def decide(
    collection: Collection[Document], device: str, incident_id: ObjectId, status: str, by: str
) -> Document | None:
    """Keep the operator's decision on an incident and return the incident; None if there is none.

    Raises ValueError where there is nothing to decide.
    """
    found = collection.find_one({"_id": incident_id, "device_id": device})
    if found is None:
        return None
    if Incident(found["incident"]) not in DECIDABLE:
        raise ValueError(f"{found['incident']}: nothing to decide")
    now = datetime.now(UTC)
    change = {"status": status, "decided_by": by, "decided_at": now, "updated_at": now}
    collection.update_one({"_id": incident_id}, {"$set": change})
    return {**found, **change}


def record_swap(
    collection: Collection[Document], type_name: str, device: str, at: datetime, readings: dict[str, Any], by: str
) -> list[Document]:
    """Keep a meter swap; one at the same time is replaced. readings: {field: (last of the old, first of the new)}."""
    now = datetime.now(UTC)
    documents = []
    for field, (last, first) in readings.items():
        place = {"type": type_name, "device_id": device, "field": field, "at": at, "swap": True}
        content = {
            "incident": Incident.SWAP.value,
            "last": last,
            "first": first,
            "status": CONFIRMED,
            "current": True,
            "decided_by": by,
            "decided_at": now,
            "updated_at": now,
        }
        collection.update_one(place, {"$set": content, "$setOnInsert": {"found_at": now}}, upsert=True)
        document = collection.find_one(place)
        assert document is not None
        documents.append(document)
    return documents
