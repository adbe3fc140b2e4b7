"""Reading the interval ledger: what counters counted between boundaries, and their registers before a time.

What belongs here: the queries, and adding up what they find. What does not: which documents they read
(`greenpower.mongo.energy.ledger_plan`), what comes after the ledger's watermark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pymongo
from pymongo import DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.measure.counter.hold import Carry, Hold
from greenpower.measure.slot import ESTIMATED, QUARTER_SECONDS
from greenpower.mongo.client import Document
from greenpower.mongo.energy.energy_groups import EnergyGroups, GroupedCuts, GroupPlan
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, day_of
from greenpower.mongo.energy.ledger_plan import SlotRange, plan_documents
from greenpower.mongo.energy.slot_columns import (
    NO_REGISTER,
    SLOTS_PER_DAY,
    SlotSum,
    register_of,
    sum_packed,
    sum_ranges,
)
from greenpower.mongo.energy.stretch import Stretch
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS

# Each query has a time of its own, so it must not grow with what is asked.
DOCUMENTS_PER_QUERY = 5_000
DEVICES_PER_LOOKUP = 500
DOCUMENTS_PER_READ_BATCH = 2_500
LEDGER_KEYS = ("slots", "resolution", "first_quarters")
GROUP_KEYS = ("slots.energy", "slots.n")


def read_stretches(
    db: Database[Document],
    type_name: str,
    field: str,
    devices: Sequence[str],
    boundaries: Sequence[datetime],
    grouped: GroupedCuts | None = None,
    sums: Mapping[str, EnergyGroups] | None = None,
) -> dict[str, list[Stretch]]:
    """What a counter of each device counted between boundaries: one stretch less than there are boundaries.

    boundaries: aware, ascending, on quarter-hours, none after the ledger's watermark. grouped: groups of other
    stretches with the same ends, which are added to `sums`, by device; a document that both need is read once. Devices
    without anything are absent. Raises ValueError for other boundaries, PyMongoError.
    """
    plan = plan_documents(boundaries)
    groups = GroupPlan({}, {}) if grouped is None else grouped.plan(boundaries[-1])
    into = {} if sums is None else sums
    found: dict[str, list[Stretch]] = {}
    for collection, time, wanted, others in (
        (INTERVALS, "day", plan.days, groups.days),
        (ENERGY_DAYS, "month", plan.months, groups.months),
    ):
        for document in ledger_documents(db[collection], type_name, field, devices, time, list(wanted), LEDGER_KEYS):
            device, at = document["device_id"], document[time]
            stretches = found.get(device)
            if stretches is None:
                stretches = found[device] = [Stretch() for _ in range(len(boundaries) - 1)]
            _add_document(stretches, document, at, wanted[at])
            if at in others:
                into[device].add_slots(document["slots"], others[at])
        rest = [at for at in others if at not in wanted]
        for document in ledger_documents(db[collection], type_name, field, devices, time, rest, GROUP_KEYS):
            into[document["device_id"]].add_slots(document["slots"], others[document[time]])
    return found


def ledger_documents(
    collection: Collection[Document],
    type_name: str,
    field: str,
    devices: Sequence[str],
    time: str,
    times: Sequence[datetime],
    keys: Sequence[str],
) -> Iterator[Document]:
    """The documents of a counter of some days (`time`: "day") or months ("month"), in no order, with some of their
    keys. times: in order. Raises PyMongoError."""
    shown = {"_id": 0, "device_id": 1, time: 1, **dict.fromkeys(keys, 1)}
    per_query = min(len(times), DOCUMENTS_PER_QUERY) or 1
    group = max(1, DOCUMENTS_PER_QUERY // per_query)
    for first in range(0, len(times), per_query):
        several = times[first : first + per_query]
        for start in range(0, len(devices), group):
            query = {
                "type": type_name,
                "device_id": {"$in": list(devices[start : start + group])},
                "field": field,
                time: _one_of(several),
            }
            with pymongo.timeout(QUERY_SECONDS):
                found = collection.find(query, shown, batch_size=DOCUMENTS_PER_READ_BATCH).to_list()
            yield from found


def _one_of(times: Sequence[datetime]) -> Document:
    """A filter on days or months: as a range where they are neighbours, which finds them faster."""
    if times[-1] - times[0] == (len(times) - 1) * DAY:
        return {"$gte": times[0], "$lte": times[-1]}
    return {"$in": list(times)}


def _add_document(
    stretches: Sequence[Stretch], document: Document, start: datetime, ranges: Sequence[SlotRange]
) -> None:
    resolution, quarters = document["resolution"], document.get("first_quarters")
    sums = sum_ranges(document["slots"], [(part.begin, part.end) for part in ranges])
    for part, found in zip(ranges, sums, strict=True):
        _add(stretches[part.stretch], found, start, quarters, resolution)


def _add(stretch: Stretch, found: SlotSum, start: datetime, quarters: bytes | None, resolution: int | None) -> None:
    """Add slots to a stretch, before or after what is in it. quarters: None where the slots are quarter-hours."""
    stretch.energy += found.energy
    stretch.silence_s += found.silence
    stretch.flags |= found.flags
    if resolution is not None and found.flags & ESTIMATED:
        stretch.resolution = max(stretch.resolution or 0, resolution)
    if not found.n:
        return
    stretch.samples += found.n
    if quarters is None:
        first_at = start + found.first_slot * QUARTER
        last_at = start + timedelta(milliseconds=found.last_ms)
    else:
        first_at = start + found.first_slot * DAY + quarters[found.first_slot] * QUARTER
        last_at = start + found.last_slot * DAY + timedelta(milliseconds=found.last_ms)
    if stretch.first_at is None or first_at < stretch.first_at:
        stretch.first_at = first_at
    if stretch.last_at is None or last_at > stretch.last_at:
        stretch.last, stretch.last_at = register_of(found), last_at


def ledger_register_before(
    db: Database[Document], type_name: str, field: str, devices: Sequence[str], time: datetime
) -> dict[str, Carry]:
    """The last accepted sample of a counter before a time, by device, however long ago it was, with the fall that is
    open there; a fall is known at the end of each window that was computed. Devices without any are absent.

    time: aware, on a quarter-hour; within one the ledger knows only the last sample. Raises ValueError for
    another time, PyMongoError.
    """
    if time.timestamp() % QUARTER_SECONDS:
        raise ValueError(f"the ledger knows no register before {time}, which is on no quarter-hour")
    time = time.astimezone(UTC)
    found: dict[str, Carry] = {}
    for first in range(0, len(devices), DEVICES_PER_LOOKUP):
        for row in _newest_days(db, type_name, field, devices[first : first + DEVICES_PER_LOOKUP], time):
            carries = (_carry(document, time) for document in row["days"])
            if (carry := next((carry for carry in carries if carry is not None), None)) is not None:
                found[row["device_id"]] = carry
    return found


def counters_held(
    db: Database[Document], type_name: str, devices: Sequence[str], fields: Sequence[str], days: Sequence[datetime]
) -> dict[str, set[str]]:
    """The counters of devices that had an open fall or an open change of unit at an end of a window of some UTC days,
    by device. Raises PyMongoError."""
    query: Document = {
        "type": type_name,
        "device_id": {"$in": list(devices)},
        "field": {"$in": list(fields)},
        "day": {"$in": list(days)},
        "holds.0": {"$exists": True},
    }
    found: dict[str, set[str]] = {}
    with pymongo.timeout(QUERY_SECONDS):
        for document in db[INTERVALS].find(query, {"_id": 0, "device_id": 1, "field": 1}):
            found.setdefault(document["device_id"], set()).add(document["field"])
    return found


def _newest_days(
    db: Database[Document], type_name: str, field: str, devices: Sequence[str], time: datetime
) -> list[Document]:
    """For each device the newest days before a time, newest first: one, and where the time is within a day, two, since
    all samples of that day may come after it."""
    inside = day_of(time) < time
    match: Document = {
        "type": type_name,
        "field": field,
        "day": {"$lte" if inside else "$lt": day_of(time)},
        "samples": {"$gt": 0},
        "$expr": {"$eq": ["$device_id", "$$device"]},
    }
    stages: list[Document] = [
        {"$match": match},
        {"$sort": {"day": DESCENDING}},
        {"$limit": 2 if inside else 1},
        {"$project": {"_id": 0, "day": 1, "slots": 1, "holds": 1}},
    ]
    pipeline: list[Document] = [
        {"$documents": [{"device_id": {"$literal": device}} for device in devices]},
        {"$lookup": {"from": INTERVALS, "let": {"device": "$device_id"}, "pipeline": stages, "as": "days"}},
    ]
    with pymongo.timeout(QUERY_SECONDS):
        return db.aggregate(pipeline).to_list()


def _carry(document: Document, time: datetime) -> Carry | None:
    """The last sample of a day before a time; None where there is none."""
    day = document["day"]
    end = SLOTS_PER_DAY if time >= day + DAY else (time - day) // QUARTER
    found = sum_packed(document["slots"], 0, end)
    if not found.n:
        return None
    at = day + timedelta(milliseconds=found.last_ms)
    if at >= time:
        raise ValueError(f"the ledger's day {day} has a sample of {at} in a quarter-hour before {time}")
    hold = next((hold["hold"] for hold in document["holds"] if hold["slot"] == found.last_slot), None)
    register = register_of(found)
    value = NO_REGISTER if register is None else register
    return Carry(value=value, at=at, hold=None if hold is None else Hold.from_document(hold))
