"""Readings: storing a batch so that packets of one reading, redeliveries and other processes all meet in one document.

What belongs here: the merge rule (new keys are added, the first value of a key stays) and the writes. What does not:
what a frame means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.bulk import insert_each
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.late import STAMP_AGAIN, is_late

Number = int | float
Key = tuple[str, datetime]
RECENT = 5_000


@dataclass(slots=True, eq=False)
class Part:
    """What one frame says of one reading, and, after `store_readings`, what became of it.

    payload: {field: number}. new: whether any of its keys was not there before. conflicts: keys that were there with
    another value. fault: why it can never be stored.
    """

    device_id: str
    topic: str
    timestamp: datetime
    received_at: datetime
    payload: dict[str, Number]
    complete: bool
    new: bool = False
    conflicts: tuple[str, ...] = ()
    fault: str = ""


@dataclass(slots=True, eq=False)
class Draft:
    """All parts of one reading in a batch, in order of arrival."""

    parts: list[Part]
    object_id: ObjectId = field(default_factory=new_id)

    @property
    def key(self) -> Key:
        return self.parts[0].device_id, self.parts[0].timestamp

    def fold(self, stored: dict[str, Number]) -> dict[str, Number]:
        """Judge each part against what is stored and the parts before it. Returns the keys to add."""
        known = dict(stored)
        for part in self.parts:
            before = len(known)
            part.conflicts = ()
            for name, value in part.payload.items():
                if known.setdefault(name, value) != value:
                    part.conflicts += (name,)
            part.new = len(known) > before
        return {name: value for name, value in known.items() if name not in stored}

    def document(self, now: datetime) -> Document:
        """The reading as it is inserted: one dict, its keys in the order of DESIGN."""
        first = self.parts[0]
        if len(self.parts) == 1:
            first.new, payload, complete = True, first.payload, first.complete
        else:
            payload, complete = self.fold({}), self.complete
        return {
            "_id": self.object_id,
            "device_id": first.device_id,
            "topic": first.topic,
            "timestamp": first.timestamp,
            "received_at": first.received_at,
            "updated_at": now,
            "payload": payload,
            "complete": complete,
        }

    @property
    def complete(self) -> bool:
        return any(part.complete for part in self.parts)


def group_parts(parts: list[Part]) -> list[Draft]:
    """Bring the parts of each reading together, in order of their first."""
    drafts: dict[Key, Draft] = {}
    for part in parts:
        key = (part.device_id, part.timestamp)
        draft = drafts.get(key)
        if draft is None:
            drafts[key] = Draft([part])
        else:
            draft.parts.append(part)
    return list(drafts.values())


async def store_readings(
    collection: AsyncCollection[Document], drafts: list[Draft], *, patience: timedelta | None = None
) -> None:
    """Store drafts durably and write into their parts what became of them.

    patience: how long the write may take until readers of changes may have passed its stamp; None: there are none.
    Raises PyMongoError where the server is at fault; calling it again with the same drafts is then safe.
    """
    left = drafts
    while left:
        now = datetime.now(UTC)
        inserted = await insert_each(collection, [draft.document(now) for draft in left])
        for index, why in inserted.faults.items():
            for part in left[index].parts:
                part.fault, part.new = why, False
        # What is gone again between the insert and the look (retention, an operator) is inserted once more.
        again = [left[index] for index in inserted.duplicates]
        if patience is not None and is_late(now, patience):
            # Among the duplicates are those that an earlier attempt stored whose answer was lost.
            ids = [draft.object_id for draft in left]
            await collection.update_many({"_id": {"$in": ids}}, STAMP_AGAIN)
        left = await _merge(collection, again, patience)


async def _merge(collection: AsyncCollection[Document], drafts: list[Draft], patience: timedelta | None) -> list[Draft]:
    """Add what is new to readings that are there. Returns the drafts whose reading is not there any more."""
    if not drafts:
        return []
    keys = [{"device_id": device, "timestamp": timestamp} for device, timestamp in (draft.key for draft in drafts)]
    found: dict[Key, Document] = {}
    shown = {"device_id": 1, "timestamp": 1, "payload": 1, "complete": 1, "updated_at": 1}
    async for document in collection.find({"$or": keys}, shown):
        found[document["device_id"], document["timestamp"]] = document
    updates = []
    gone = []
    for draft in drafts:
        stored = found.get(draft.key)
        if stored is None:
            gone.append(draft)
            continue
        if stored["_id"] == draft.object_id:
            # Ours, from an attempt whose answer was lost; another process may have added keys since.
            ours = {name for part in draft.parts for name in part.payload}
            draft.fold({name: value for name, value in stored["payload"].items() if name not in ours})
            if patience is not None and is_late(stored["updated_at"], patience):
                updates.append(UpdateOne({"_id": stored["_id"]}, STAMP_AGAIN))
            continue
        added = draft.fold(stored["payload"])
        if added or (draft.complete and not stored["complete"]):
            updates.append(_addition(stored["_id"], added, draft.complete))
    if updates:
        await collection.bulk_write(updates, ordered=False)
    return gone


def _addition(object_id: ObjectId, added: dict[str, Number], complete: bool) -> UpdateOne:
    """Add keys in one step in which those already there win, whoever wrote them meanwhile."""
    return UpdateOne(
        {"_id": object_id},
        [
            {
                "$set": {
                    "payload": {"$mergeObjects": [{"$literal": added}, "$payload"]},
                    "complete": {"$or": ["$complete", complete]},
                    "updated_at": "$$NOW",
                }
            }
        ],
    )


async def recent_payloads(
    collection: AsyncCollection[Document], device: str, limit: int = RECENT
) -> list[tuple[datetime, dict[str, Number]]]:
    """The newest `limit` readings of a device: (timestamp, payload)."""
    cursor = collection.find({"device_id": device}, {"timestamp": 1, "payload": 1}).sort("timestamp", -1).limit(limit)
    return [(document["timestamp"], document["payload"]) async for document in cursor]
