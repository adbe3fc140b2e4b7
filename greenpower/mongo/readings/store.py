"""Readings: storing a batch so that packets of one reading, redeliveries and other processes all meet in one document.

What belongs here: the merge rule (new keys are added, the first value of a key stays) and the writes. What does not:
what a frame means, and what is told of a batch (`batch`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.bulk import insert_each
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.clock_mark import ADDED_FROM_FILE, BY_ARRIVAL, TOLD_BY_DEVICE, make_mark
from greenpower.mongo.readings.late import STAMP_AGAIN, is_late

Number = int | float
Key = tuple[str, datetime]
RECENT_READINGS = 5_000


@dataclass(slots=True, eq=False)
class Fragment:
    """What one frame says of one reading, and, after `store_readings`, what became of it.

    payload: {field: number}. undated: whether its timestamp is the time of arrival. imported: whether it is of a file;
    what is stored together is either all of files or not at all. new: whether any of its keys was not there before.
    conflicts: keys that were there with another value. fault: why it can never be stored.
    """

    device_id: str
    topic: str
    timestamp: datetime
    received_at: datetime
    payload: dict[str, Number]
    complete: bool
    undated: bool = False
    imported: bool = False
    new: bool = False
    conflicts: tuple[str, ...] = ()
    fault: str = ""


@dataclass(slots=True, eq=False)
class MergedReading:
    """All fragments of one reading in a batch, in the order in which they are stored.

    added: after `store_readings`, the keys that were not there before, with their values; None where there are none.
    sent: what an earlier try sent to a reading that was there before; its answer may have been lost.
    """

    fragments: list[Fragment]
    object_id: ObjectId = field(default_factory=new_id)
    added: dict[str, Number] | None = None
    sent: dict[str, Number] | None = None

    @property
    def key(self) -> Key:
        """What a stored reading is found by."""
        return self.fragments[0].device_id, self.fragments[0].timestamp

    @property
    def complete(self) -> bool:
        """Whether one of its fragments says that the reading is whole."""
        return any(fragment.complete for fragment in self.fragments)

    @property
    def undated(self) -> bool:
        """Whether its timestamp is the time of arrival: as long as no fragment says that the device told it."""
        return all(fragment.undated for fragment in self.fragments)

    @property
    def imported(self) -> bool:
        """Whether it is of a file."""
        return self.fragments[0].imported

    def fold(self, stored: dict[str, Number]) -> dict[str, Number]:
        """Compare each fragment with what is stored and the fragments before it. Returns the keys that are new."""
        known = dict(stored)
        for fragment in self.fragments:
            before = len(known)
            fragment.conflicts, fragment.fault = (), ""  # of an earlier try
            for name, value in fragment.payload.items():
                if known.setdefault(name, value) != value:
                    fragment.conflicts += (name,)
            fragment.new = len(known) > before
        return {name: value for name, value in known.items() if name not in stored}

    def document(self, now: datetime) -> Document:
        """The reading as it is inserted: one dict, its keys in the order of DESIGN."""
        first = self.fragments[0]
        if len(self.fragments) == 1:
            first.new, first.conflicts, first.fault = True, (), ""
            payload, complete = first.payload, first.complete
        else:
            payload, complete = self.fold({}), self.complete
        self.added = payload
        document: Document = {
            "_id": self.object_id,
            "device_id": first.device_id,
            "topic": first.topic,
            "timestamp": first.timestamp,
            "received_at": first.received_at,
            "updated_at": now,
            "payload": payload,
            "complete": complete,
        }
        if first.undated or first.imported:
            mark = make_mark(arrival=self.undated, imported=first.imported)
            if mark is not None:
                document["clock"] = mark
        return document

    def add_to(self, stored: dict[str, Number]) -> dict[str, Number]:
        """The keys to add to a reading that others stored. What an earlier try sent and is there counts as added."""
        sent = self.sent
        if sent is None:
            self.added = added = self.fold(stored)
        else:
            self.added = self.fold({name: value for name, value in stored.items() if sent.get(name) != value})
            added = {name: value for name, value in self.added.items() if name not in stored}
        self.sent = self.added
        return added

    def reject(self, why: str) -> None:
        """It can never be stored."""
        self.added = None
        for fragment in self.fragments:
            fragment.fault, fragment.new = why, False


def merge_fragments(fragments: list[Fragment]) -> list[MergedReading]:
    """Bring the fragments of each reading together, in order of their first."""
    merged: dict[Key, MergedReading] = {}
    for fragment in fragments:
        key = (fragment.device_id, fragment.timestamp)
        reading = merged.get(key)
        if reading is None:
            merged[key] = MergedReading([fragment])
        else:
            reading.fragments.append(fragment)
    return list(merged.values())


async def store_readings(
    collection: AsyncCollection[Document], readings: list[MergedReading], *, patience: timedelta | None = None
) -> None:
    """Store readings durably and write into their fragments what became of them.

    patience: how long the write may take until readers of changes may have passed its stamp; None: there are none.
    Raises PyMongoError where the server is at fault; calling it again with the same readings is then safe, and says of
    what an earlier call stored that it is new.
    """
    left = readings
    while left:
        now = datetime.now(UTC)
        inserted = await insert_each(collection, [reading.document(now) for reading in left])
        for index, why in inserted.faults.items():
            left[index].reject(why)
        # What is gone again between the insert and the look (retention, an operator) is inserted once more.
        again = [left[index] for index in inserted.duplicates]
        if patience is not None and is_late(now, patience):
            # Among the duplicates are those that an earlier attempt stored whose answer was lost.
            ids = [reading.object_id for reading in left]
            await collection.update_many({"_id": {"$in": ids}}, STAMP_AGAIN)
        left = await _merge(collection, again, patience)


async def _merge(
    collection: AsyncCollection[Document], readings: list[MergedReading], patience: timedelta | None
) -> list[MergedReading]:
    """Add what is new to readings that are there. Returns those that are not there any more."""
    if not readings:
        return []
    keys = [{"device_id": device, "timestamp": timestamp} for device, timestamp in (item.key for item in readings)]
    found: dict[Key, Document] = {}
    shown = {"device_id": 1, "timestamp": 1, "payload": 1, "complete": 1, "updated_at": 1, "clock": 1}
    async for document in collection.find({"$or": keys}, shown):
        found[document["device_id"], document["timestamp"]] = document
    updates = []
    gone = []
    for reading in readings:
        stored = found.get(reading.key)
        if stored is None:
            gone.append(reading)
            continue
        if stored["_id"] == reading.object_id:
            # Ours, from an attempt whose answer was lost; another process may have added keys since.
            ours = {name for fragment in reading.fragments for name in fragment.payload}
            reading.added = reading.fold({name: value for name, value in stored["payload"].items() if name not in ours})
            if patience is not None and is_late(stored["updated_at"], patience):
                updates.append(UpdateOne({"_id": stored["_id"]}, STAMP_AGAIN))
            continue
        added = reading.add_to(stored["payload"])
        told = stored.get("clock") in BY_ARRIVAL and not reading.undated and not reading.imported
        complete = reading.complete and not reading.imported  # a file says nothing of what a device may still send
        if added or told or (complete and not stored["complete"]):
            clock = ADDED_FROM_FILE if reading.imported else TOLD_BY_DEVICE if told else None
            updates.append(_addition(stored["_id"], added, complete, clock))
    if updates:
        await collection.bulk_write(updates, ordered=False)
    return gone


def _addition(
    object_id: ObjectId, added: dict[str, Number], complete: bool, clock: Mapping[str, Any] | None
) -> UpdateOne:
    """Add keys in one step in which those already there win, no matter who wrote them meanwhile.

    clock: what becomes of its mark, as an expression; None where it stays.
    """
    change: Document = {
        "payload": {"$mergeObjects": [{"$literal": added}, "$payload"]},
        "complete": {"$or": ["$complete", complete]},
        "updated_at": "$$NOW",
    }
    if clock is not None:
        change["clock"] = clock
    return UpdateOne({"_id": object_id}, [{"$set": change}])


async def recent_payloads(
    collection: AsyncCollection[Document], device: str, limit: int = RECENT_READINGS
) -> list[tuple[datetime, dict[str, Number]]]:
    """The newest `limit` readings of a device: (timestamp, payload)."""
    cursor = collection.find({"device_id": device}, {"timestamp": 1, "payload": 1}).sort("timestamp", -1).limit(limit)
    return [(document["timestamp"], document["payload"]) async for document in cursor]
