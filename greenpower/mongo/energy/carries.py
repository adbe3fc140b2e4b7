"""Carries: the register before a time, and the fall that was open there, from buckets of any tier, else the ledger.

What belongs here: the precondition of every state that is read as "before t", and its check (`carry_of`): its last
sample lies before t. A bucket of 6 hours that reaches past t knows the future of it and says nothing. What does not
belong here: what readings say (`around`).
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.catalog.facts import kind_of, ledger_tier
from greenpower.datatype import DataType, Kind
from greenpower.measure.counter.hold import Carry, Hold
from greenpower.measure.kinds import STATES_OF, has_energy
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_read import ledger_register_before
from greenpower.mongo.energy.oldest import OldestOf
from greenpower.mongo.energy.slot_columns import NO_REGISTER
from greenpower.mongo.rollups.source import STATES, any_before, newest_documents
from greenpower.mongo.schema.layout import INTERVALS

# The newest bucket before a time may reach past it; the one before that one does not.
BUCKETS_BACK = 2
# What came out for a bucket's last sample is sure when so many valid samples have come after it.
SURE_AFTER = 3
# Buckets that are looked through for one that is sure.
MAX_BUCKETS_BACK = 64
NEWEST_BUCKETS = BUCKETS_BACK * SURE_AFTER

Times = Sequence[datetime]


def energy_key(datatype: DataType, field: str) -> str:
    """The key by which stored states show that they are of a field's kind, one with energy."""
    return STATES_OF[kind_of(datatype, field)].key


def carry_of(bucket: Mapping[str, Any], field: str, time: datetime) -> Carry | None:
    """The register at the end of a bucket; None where it does not say what the counter was before `time`."""
    state = bucket["stats"].get(field)
    if not state or not has_energy(state) or state["last_at"] >= time:
        return None
    if "last" not in state:
        return Carry(value=NO_REGISTER, at=state["last_at"])
    hold = (bucket.get("holds") or {}).get(field)
    return Carry(value=state["last"], at=state["last_at"], hold=None if hold is None else Hold.from_document(hold))


def register_before(
    db: Database[Document], datatype: DataType, devices: Sequence[str], field: str, time: datetime
) -> dict[str, Carry]:
    """The newest register of each device whose sample lies before `time`, however long before it: from what is stored
    of its tiers, else from the ledger. Devices without one are left out. Raises PyMongoError."""
    where = {f"stats.{field}.{energy_key(datatype, field)}": {"$exists": True}}
    found = _registers(db, datatype, devices, time, (field,), where)
    return {device: carries[field] for device, carries in found.items() if field in carries}


def registers_before(
    db: Database[Document], datatype: DataType, devices: Sequence[str], time: datetime, fields: AnyOf[str]
) -> dict[str, dict[str, Carry]]:
    """As `register_before`, of several counters at once: {device: {field: carry}}."""
    found = _registers(db, datatype, devices, time, fields, None)
    for field in fields:
        # The newest bucket of a device need not have all of its counters. One that has none of it never had any.
        missing = [device for device in devices if found.get(device) and field not in found[device]]
        if missing and any(field in carries for carries in found.values()):
            for device, carry in register_before(db, datatype, missing, field, time).items():
                found[device][field] = carry
    return found


def find_carries(
    db: Database[Document],
    datatype: DataType,
    tier: Collection[Document],
    device: str,
    time: datetime,
    samples: Mapping[str, Times],
    complete: AnyOf[str],
    oldest: OldestOf,
    newest: Sequence[Document] | None = None,
) -> dict[str, Carry | None]:
    """For each counter the register from which its samples before `time` are to be followed; None where there is none,
    so that the first of these samples is where it begins.

    samples: {field: times of its samples before `time`, in order}, the newest of them; of those in `complete`, all that
    are left. tier: the collection of buckets to prefer. oldest: of some devices, this one among them. newest: the
    `NEWEST_BUCKETS` newest buckets before `time`, in order, where they are read already. Raises PyMongoError.
    """
    carries: dict[str, Carry | None] = {}
    wanted = dict.fromkeys(samples)
    limit = NEWEST_BUCKETS
    query: Document = {"device_id": device, "timestamp": {"$lt": time}}
    while wanted:
        if newest is not None and limit == NEWEST_BUCKETS:
            buckets = list(newest[::-1])
        else:
            buckets = list(tier.find(query, STATES).sort("timestamp", DESCENDING).limit(limit))
        for field in list(wanted):
            for bucket in buckets:
                carry = carry_of(bucket, field, time)
                if (
                    carry is not None
                    and _is_of(datatype, field, carry)
                    and _is_sure(carry, samples[field], field in complete)
                ):
                    carries[field] = carry
                    del wanted[field]
                    break
        if not buckets:
            kept = _kept_carries(db, datatype, device, {field: samples[field] for field in wanted}, complete)
            carries |= kept
            wanted = {field: None for field in wanted if field not in kept}
        if limit >= MAX_BUCKETS_BACK or len(buckets) < limit:
            break
        limit = MAX_BUCKETS_BACK
    carries |= dict.fromkeys(wanted)
    gone = {field: samples[field][0] if samples[field] else time for field in wanted if field in complete}
    # Readings that are all there are tell everything, unless something older is left of the device.
    if gone and oldest.is_older(device, max(gone.values())):
        for field, first in gone.items():
            carries[field] = register_before(db, datatype, [device], field, first).get(device)
    return carries


def _kept_carries(
    db: Database[Document],
    datatype: DataType,
    device: str,
    samples: Mapping[str, Times],
    complete: AnyOf[str],
) -> dict[str, Carry]:
    """The carries that the ledger is sure of, of a device whose tier has no bucket: it expired, or is not made yet."""
    tier = ledger_tier(datatype)
    if tier is None or tier.window is None:
        return {}
    # What is open is known at the ends of windows: of the tier that writes the ledger, or of one that it was made of.
    lengths = (tier.window, max(other.window or 0 for other in datatype.tiers))
    found: dict[str, Carry] = {}
    for field, times in samples.items():
        if len(times) <= SURE_AFTER:
            continue
        for length in lengths:
            time = floor(times[-SURE_AFTER], length)
            carry = ledger_register_before(db, datatype.name, field, [device], time).get(device)
            if carry is not None and _is_of(datatype, field, carry) and _is_sure(carry, times, field in complete):
                found[field] = carry
                break
    return found


def _is_of(datatype: DataType, field: str, carry: Carry) -> bool:
    """Whether a carry is of the kind that a field has now: deltas have no register, the others do."""
    return (carry.register is None) == (kind_of(datatype, field) is Kind.DELTA)


def _is_sure(carry: Carry, times: Times, complete: bool) -> bool:
    """Whether what is stored for a sample is what all samples after it say, and those after it are all there."""
    if not times or carry.at < times[0]:
        return complete
    return len(times) > SURE_AFTER and times[-SURE_AFTER] > carry.at


def _fields_of(intervals: Collection[Document], type_name: str, devices: Sequence[str]) -> set[str]:
    """The counters of devices that are in the ledger, if any device of the type is."""
    if intervals.find_one({"type": type_name}, {"_id": 1}) is None:
        return set()
    found = intervals.aggregate(
        [
            {"$match": {"type": type_name, "device_id": {"$in": list(devices)}}},
            {"$group": {"_id": "$field"}},
        ]
    )
    return {row["_id"] for row in found}


def _registers(
    db: Database[Document],
    datatype: DataType,
    devices: Sequence[str],
    time: datetime,
    fields: AnyOf[str],
    where: Document | None,
) -> dict[str, dict[str, Carry]]:
    found: dict[str, dict[str, Carry]] = {}
    known = None if len(fields) == 1 else _fields_of(db[INTERVALS], datatype.name, devices)
    for tier in datatype.tiers:
        collection = db[tier.prefix + datatype.collection]
        if tier.window is None or not any_before(collection, time):
            continue
        for device, buckets in newest_documents(collection, devices, time, BUCKETS_BACK, STATES, where):
            carries = found.setdefault(device, {})
            for bucket in buckets:
                for field in fields:
                    carry = carry_of(bucket, field, time)
                    if (
                        carry is not None
                        and _is_of(datatype, field, carry)
                        and (field not in carries or carry.at > carries[field].at)
                    ):
                        carries[field] = carry
    for field in fields:
        missing = [device for device in devices if field not in found.get(device, ())]
        if missing and (known is None or field in known):
            kept = ledger_register_before(db, datatype.name, field, missing, floor(time, QUARTER_SECONDS))
            for device, carry in kept.items():
                if _is_of(datatype, field, carry):
                    found.setdefault(device, {})[field] = carry
    return found
