"""Base energy: the quarter-hours of a counter as they were counted, without any correction of energy.

From the interval ledger, and where somebody asks, from the readings after it, too. What belongs here: finding slots
around a time. What does not: what is made of them (`evaluate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime, timedelta

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from greenpower.measure.slot import Slot
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, day_of
from greenpower.mongo.energy.recent import RecentSlots
from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY, SlotColumns
from greenpower.mongo.schema.layout import INTERVALS

# The day of a time, and one more: all samples of that day may lie on its other side.
DAYS_PER_LOOKUP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseEnergy:
    """The slots of a type's counter. Its methods raise PyMongoError.

    until: what came later is not known. recent: by device, the slots from a time on that the ledger does not tell.
    """

    db: Database[Document]
    type_name: str
    field: str
    until: datetime
    recent: Mapping[str, RecentSlots] = dataclass_field(default_factory=dict)

    def slots(self, device: str, begin: datetime, end: datetime) -> list[Slot]:
        """The slots that begin in `[begin, end)` and have anything, in order."""
        recent = self.recent.get(device)
        found: list[Slot] = []
        until = end if recent is None else min(end, recent.begin)
        if begin < until:
            days = {"$gte": day_of(begin), "$lt": until}
            for document in self._days(device, days, ASCENDING, 0):
                found += (slot for slot in day_slots(document) if begin <= slot.start < until)
        if recent is not None:
            found += (slot for slot in recent.slots if max(begin, recent.begin) <= slot.start < end)
        return found

    def slot_before(self, device: str, time: datetime) -> Slot | None:
        """The newest slot whose last sample lies before a time."""
        recent = self.recent.get(device)
        if recent is not None:
            for slot in reversed(recent.slots):
                if slot.last_at is not None and slot.last_at < time and slot.start >= recent.begin:
                    return slot
            time = min(time, recent.begin)
        for document in self._days(device, {"$lte": day_of(time)}, DESCENDING, DAYS_PER_LOOKUP):
            for slot in reversed(day_slots(document)):
                if slot.last_at is not None and slot.last_at < time:
                    return slot
        if recent is not None and recent.before is not None:
            at = recent.before.at
            return Slot(start=at - timedelta(seconds=at.timestamp() % 900), n=1, last=recent.before.value, last_at=at)
        return None

    def slot_from(self, device: str, time: datetime) -> Slot | None:
        """The first slot with a sample from a time on; it may have samples before that as well."""
        recent = self.recent.get(device)
        for document in self._days(device, {"$gte": day_of(time)}, ASCENDING, DAYS_PER_LOOKUP):
            for slot in day_slots(document):
                if recent is not None and slot.start >= recent.begin:
                    break
                if slot.last_at is not None and slot.last_at >= time:
                    return slot
        if recent is not None:
            for slot in recent.slots:
                if slot.last_at is not None and slot.last_at >= time and slot.start >= recent.begin:
                    return slot
        return None

    def _days(self, device: str, days: Document, order: int, limit: int) -> Iterator[Document]:
        query: Document = {"type": self.type_name, "device_id": device, "field": self.field, "day": days}
        if limit:
            query["samples"] = {"$gt": 0}
        shown = {"_id": 0, "day": 1, "slots": 1}
        return iter(self.db[INTERVALS].find(query, shown).sort("day", order).limit(limit).to_list())


def day_slots(document: Document) -> list[Slot]:
    """The quarter-hours of a day of the ledger that have anything."""
    day: datetime = document["day"]
    columns = SlotColumns.unpack(document["slots"], SLOTS_PER_DAY)
    found = []
    for place in range(SLOTS_PER_DAY):
        n, energy, flags, silence = (
            columns.n[place],
            columns.energy[place],
            columns.flags[place],
            columns.silence[place],
        )
        if n or energy or flags or silence:
            found.append(
                Slot(
                    start=day + place * QUARTER,
                    energy=energy,
                    n=n,
                    silence_s=silence,
                    flags=flags,
                    last=columns.last[place] if n else None,
                    last_at=day + timedelta(milliseconds=columns.last_ms[place]) if n else None,
                )
            )
    assert not found or found[-1].start < day + DAY
    return found
