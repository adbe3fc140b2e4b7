"""Incidents of counters, kept for good, and the operator's decisions on them.

One document per incident: {_id, type, device_id, field, at, swap, incident, value, before, before_at, correction,
status, current, settled, until, found_at, updated_at}, unique by type, device, field and time. `correction` is what it
adds to the energy, as it is counted now. status: `noted` where there is nothing to decide, `open`, then `confirmed` (it
is real) or `rejected`. `current` turns false when later readings show that there was no incident. A meter swap is one,
too: there `swap` is true, and it has the readings `last` and `first`; rejected, it did not happen. How they are decided
is in `greenpower.mongo.rollups.decisions`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.measure.counter.counted import CounterEvent
from greenpower.measure.counter.rules import Incident, OperatorDecision, Swap
from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document

OPEN = "open"
NOTED = "noted"
CONFIRMED = "confirmed"
REJECTED = "rejected"

# Those that later samples may turn into ordinary steps.
MAY_TURN = frozenset({Incident.STEP, Incident.RESTART, Incident.UNIT_CHANGE})
# Incidents on each side of a stretch that are computed again with it.
TURNING_NEAR = 8

OperatorDecisions = dict[str, dict[str, OperatorDecision]]
Found = tuple[str, CounterEvent]
Stretch = tuple[str, datetime, datetime]
Key = tuple[str, str, datetime]


def read_decisions(
    collection: Collection[Document], type_name: str, devices: Iterable[str] | None = None
) -> OperatorDecisions:
    """The operator's decisions on a type's counters: {device: {field: decision}}. devices: None for all."""
    swaps: defaultdict[tuple[str, str], list[Swap]] = defaultdict(list)
    verdicts: defaultdict[tuple[str, str], dict[datetime, bool]] = defaultdict(dict)
    query: Document = {"type": type_name, "status": {"$in": [CONFIRMED, REJECTED]}}
    if devices is not None:
        query["device_id"] = {"$in": list(devices)}
    for document in collection.find(query).sort("at"):
        place = (document["device_id"], document["field"])
        if document["swap"]:
            if document["status"] == REJECTED:
                continue
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
) -> list[tuple[str, datetime, datetime]]:
    """Keep the incidents that were found in stretches `(device, begin, end)`, one per device.

    Returns (device, begin, end) of changes of unit that were on record as open and are over now: energy that was
    withheld in between is decided.

    One that is on record there and was not found again is no longer current. A fall is found where it begins, and again
    where it ends: one that ends behind a stretch stays as it is there, one that is on record to end within a stretch
    and was not found to is open again. What a later `as_of` has written stays; what is unchanged gets this `as_of`.
    Raises PyMongoError; saving again is safe.
    """
    covered = {device: (begin, end) for device, begin, end in stretches}
    over: list[tuple[str, datetime, datetime]] = []
    if not covered:
        return over
    wanted: dict[Key, CounterEvent] = {}
    for device, item in found:
        key = (device, item.field, item.at)
        if key not in wanted or item.until is not None:
            wanted[key] = item
    there = _on_record(collection, type_name, covered, wanted)
    now = datetime.now(UTC)
    older = {"as_of": {"$not": {"$gte": as_of}}}
    changes: list[tuple[Document, Document]] = []
    for key, item in wanted.items():
        known = there.get(key)
        ends = None if known is None or not known["current"] else known.get("until")
        kept = item.until is None and ends is not None and ends >= covered[key[0]][1]
        change = None if kept else _change(item, known, now)
        if known is not None and known["incident"] == Incident.UNIT_CHANGE and item.until is not None:
            over.append((key[0], item.at, item.until))
        if known is not None and change is None:
            changes.append(({"_id": known["_id"], **older}, {"$set": {}}))
        elif change is not None:
            place = {"type": type_name, "device_id": key[0], "field": key[1], "at": key[2], "swap": False}
            changes.append(({**place, **older}, change))
    for key, document in there.items():
        if key in wanted:
            continue
        begin, end = covered[key[0]]
        if begin <= document["at"] < end:
            gone = {"current": False, "updated_at": now} if document["current"] else {}
            changes.append(({"_id": document["_id"], **older}, {"$set": gone}))
        elif document["current"]:
            again: Document = {"incident": Incident.FALL.value, "until": None, "settled": False, "updated_at": now}
            if document["status"] == NOTED:
                again["status"] = OPEN
            changes.append(({"_id": document["_id"], **older}, {"$set": again}))
    if not changes:
        return over
    for _, change in changes:
        change["$set"]["as_of"] = as_of
    try:
        collection.bulk_write(
            [UpdateOne(where, change, upsert="_id" not in where) for where, change in changes], ordered=False
        )
    except BulkWriteError as error:
        read_duplicates(error)  # the upsert meets the newer document that its filter did not
    return over


def _on_record(
    collection: Collection[Document],
    type_name: str,
    covered: Mapping[str, tuple[datetime, datetime]],
    wanted: Iterable[Key],
) -> dict[Key, Document]:
    """The incidents on record that begin or end in the stretches, and those at the places of `wanted`."""
    begin, end = min(since for since, _ in covered.values()), max(until for _, until in covered.values())
    within: Document = {"$gte": begin, "$lt": end}
    queries: list[Document] = [{"type": type_name, "at": within}, {"type": type_name, "until": within}]
    if len(covered) == 1:
        for query in queries:
            query["device_id"] = next(iter(covered))
    queries += [
        {"type": type_name, "device_id": device, "field": field, "at": at}
        for device, field, at in wanted
        if not begin <= at < end
    ]
    there: dict[Key, Document] = {}
    for query in queries:
        for document in collection.find({**query, "swap": False}):
            device = document["device_id"]
            since, until = covered.get(device, (end, begin))
            ends = document.get("until")
            if since <= document["at"] < until or (ends is not None and since <= ends < until) or "field" in query:
                there[device, document["field"], document["at"]] = document
    return there


def incidents_at(
    collection: Collection[Document], type_name: str, begin: datetime, end: datetime, as_of: datetime
) -> set[tuple[str, datetime]]:
    """(device, time) of the incidents in `[begin, end)` that one `as_of` found. Raises PyMongoError."""
    query = {"type": type_name, "at": {"$gte": begin, "$lt": end}, "as_of": as_of}
    found = collection.find(query, {"_id": 0, "device_id": 1, "at": 1})
    return {(document["device_id"], document["at"]) for document in found}


def unsettled(
    collection: Collection[Document], type_name: str, devices: AnyOf[str], before: datetime
) -> set[tuple[str, datetime]]:
    """(device, time) of incidents of some devices before a time that samples which come later may still turn. Raises
    PyMongoError."""
    query: Document = {
        "type": type_name,
        "device_id": {"$in": list(devices)},
        "settled": False,
        "at": {"$lt": before},
        "current": True,
        "incident": {"$in": [kind.value for kind in MAY_TURN]},
    }
    found = collection.find(query, {"_id": 0, "device_id": 1, "at": 1})
    return {(document["device_id"], document["at"]) for document in found}


def turning_near(
    collection: Collection[Document], type_name: str, device: str, begin: datetime, end: datetime
) -> set[datetime]:
    """The times of a device's incidents next to a stretch that samples within it may turn, the nearest on both sides.
    Raises PyMongoError."""
    query: Document = {
        "type": type_name,
        "device_id": device,
        "current": True,
        "incident": {"$in": [kind.value for kind in MAY_TURN]},
    }
    found: set[datetime] = set()
    for time, order in (({"$lt": begin}, DESCENDING), ({"$gte": end}, ASCENDING)):
        near = collection.find({**query, "at": time}, {"_id": 0, "at": 1}).sort("at", order).limit(TURNING_NEAR)
        found |= {document["at"] for document in near}
    return found


def ended_falls(
    collection: Collection[Document], type_name: str, device: str, field: str, begin: datetime, end: datetime
) -> tuple[list[tuple[datetime, datetime]], list[datetime]]:
    """(begin, end) of falls of a counter that touch `[begin, end)` and have ended with nothing left to decide, and the
    times of incidents there that are still to be decided. Raises PyMongoError."""
    place: Document = {"type": type_name, "device_id": device, "field": field, "swap": False, "current": True}
    lasting = {"status": OPEN, "incident": {"$in": [Incident.UNIT_CHANGE.value, Incident.SMALL_FALL.value]}}
    if collection.find_one({**place, **lasting, "at": {"$lt": end}}, {"_id": 1}) is not None:
        return [], []
    ended = collection.find({**place, "at": {"$lt": end}, "until": {"$gte": begin}, "status": {"$ne": OPEN}})
    undecided = collection.find({**place, "at": {"$gte": begin, "$lt": end}, "status": OPEN}, {"at": 1})
    return [(item["at"], item["until"]) for item in ended], [item["at"] for item in undecided]


def _change(item: CounterEvent, there: Document | None, now: datetime) -> Document | None:
    content: Document = {
        "incident": item.incident.value,
        "value": item.value,
        "before": item.before,
        "before_at": item.before_at,
        "correction": None if item.correction is None else float(item.correction),
        "current": True,
        "settled": item.settled,
        "until": item.until,
    }
    status = OPEN if item.open else NOTED
    # After a withdrawn decision the status may be the other one, and nothing else has changed.
    restored = there is not None and there["status"] in (OPEN, NOTED) and there["status"] != status
    if there is not None and not restored and all(there.get(name, ...) == value for name, value in content.items()):
        return None
    change: Document = {"$set": {**content, "updated_at": now}, "$setOnInsert": {"status": status, "found_at": now}}
    if restored:
        # In one place only: the server takes no update that says it twice.
        change["$set"]["status"] = change["$setOnInsert"].pop("status")
    return change
