"""Events: every frame as it was received and what became of it.

An event is written after its reading, with an `_id` made here, so that writing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.bulk import insert_each
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id

KEPT_OF_OVERSIZE = 4096
REDELIVERED = "redelivered"  # the one reason of a duplicate; all other reasons are of rejected and noted frames
RECENT_FRAMES = 5_000


class Outcome(StrEnum):
    """What became of a frame. STORED: it added something. NOTED: it is no reading, by design."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    NOTED = "noted"


def raw_document(payload: bytes, limit: int) -> Document:
    """A payload as an event keeps it: `raw` text, or hex where it is no text; of one over `limit` bytes its size, hash
    and beginning.
    """
    kept: Document = {}
    if len(payload) > limit:
        kept = {"size": len(payload), "sha256": sha256(payload).hexdigest()}
        payload = payload[:KEPT_OF_OVERSIZE]
    try:
        kept["raw"] = payload.decode()
    except UnicodeDecodeError:
        kept["raw"] = payload.hex()
        kept["hex"] = True
    return kept


def raw_bytes(event: Document) -> bytes | None:
    """The payload that an event keeps; None where only its beginning was kept."""
    if "sha256" in event:
        return None
    raw: str = event["raw"]
    return bytes.fromhex(raw) if event.get("hex") else raw.encode()


def event_document(
    *,
    type_name: str | None,
    topic: str,
    device_id: str | None,
    received_at: datetime,
    outcome: Outcome,
    raw: Document,
    reason: str = "",
    detail: str = "",
    left_out: dict[str, str] | None = None,
    conflicts: Sequence[str] = (),
    timestamps: Sequence[datetime] = (),
    clock: str = "",
    offset: timedelta | None = None,
    event_id: ObjectId | None = None,
    key: ObjectId | None = None,
) -> Document:
    """An event as it is stored; what does not apply is not there. event_id: where it was given to something before."""
    document: Document = {
        "_id": event_id or new_id(),
        "type": type_name,
        "topic": topic,
        "received_at": received_at,
        "outcome": outcome.value,
    }
    if device_id is not None:
        document["device_id"] = device_id
    if reason:
        document["reason"] = reason
    if detail:
        document["detail"] = detail.encode("utf-8", "backslashreplace").decode()
    if left_out:
        document["left_out"] = left_out
    if conflicts:
        document["conflicts"] = list(conflicts)
    if timestamps:
        document["timestamp"] = timestamps[0] if len(timestamps) == 1 else list(timestamps)
    if clock:
        document["clock"] = clock
    if offset is not None:
        document["offset_ms"] = offset // timedelta(milliseconds=1)
    if key is not None:
        document["key"] = key
    document.update(raw)
    return document


async def store_events(collection: AsyncCollection[Document], documents: Sequence[Document]) -> None:
    """Store events durably, each once. Raises PyMongoError where the server is at fault: call it again then."""
    inserted = await insert_each(collection, documents)
    if inserted.faults:
        # The books must balance: what cannot be kept as text is kept as bytes, and it says so.
        await insert_each(collection, [safe_event(documents[index], why) for index, why in inserted.faults.items()])


async def amend_events(collection: AsyncCollection[Document], changes: Mapping[ObjectId, Document]) -> set[ObjectId]:
    """Add to events what became known after they were stored: {event id: keys to set}. Safe to repeat.

    Returns the ids of events that are not there. Raises PyMongoError.
    """
    if await _set(collection, changes) == len(changes):
        return set()
    found = [document["_id"] async for document in collection.find({"_id": {"$in": list(changes)}}, {"_id": 1})]
    if found:  # some may have come after the first try
        await _set(collection, {event_id: changes[event_id] for event_id in found})
    return set(changes) - set(found)


async def _set(collection: AsyncCollection[Document], changes: Mapping[ObjectId, Document]) -> int:
    """Set keys of documents. Returns how many of them were there."""
    updates = [UpdateOne({"_id": event_id}, {"$set": change}) for event_id, change in changes.items()]
    return (await collection.bulk_write(updates, ordered=False)).matched_count


def safe_event(document: Document, why: str) -> Document:
    """An event that cannot be stored as it is, reduced to what always can be."""
    kept: Document = {key: document[key] for key in ("_id", "type", "received_at", "outcome")}
    raw = str(document.get("raw", "")).encode("utf-8", "surrogatepass")
    return {
        **kept,
        "topic": ascii(document.get("topic")),
        "detail": f"event not storable as it was: {why}"[:200],
        "hex": True,
        "raw": raw.hex(),
    }


@dataclass(frozen=True, slots=True)
class Delivered:
    """A frame with a packet id. time: of its reading; None where it gave none."""

    topic: str
    payload: bytes
    time: datetime | None


@dataclass(frozen=True, slots=True)
class RecentFrames:
    """The newest frames of a device: their payloads, and the timestamps of the readings they gave."""

    payloads: frozenset[bytes]
    timestamps: frozenset[datetime]


async def delivered(
    collection: AsyncCollection[Document], packets: Set[int], limit: int = RECENT_FRAMES
) -> dict[int, Delivered]:
    """The newest of the newest `limit` frames with each of these packet ids, by the id.

    A broker uses an id again as soon as it is acknowledged, some for the next frame: only the newest frame with an id
    can be the one that is delivered again.
    """
    keys = {"_id": 0, "topic": 1, "raw": 1, "hex": 1, "packet": 1, "timestamp": 1}
    found: dict[int, Delivered] = {}
    async for event in collection.find({}, keys).sort("received_at", -1).limit(limit):
        packet, payload, stamps = event.get("packet", 0), raw_bytes(event), event.get("timestamp")
        if packet in packets and packet not in found and payload is not None:
            time = stamps[0] if isinstance(stamps, list) and stamps else stamps
            found[packet] = Delivered(event["topic"], payload, time or None)
            if len(found) == len(packets):
                break
    return found


async def recent_frames(collection: AsyncCollection[Document], device: str, limit: int = RECENT_FRAMES) -> RecentFrames:
    """The newest `limit` frames of a device."""
    payloads: set[bytes] = set()
    timestamps: set[datetime] = set()
    cursor = collection.find({"device_id": device}).sort("received_at", -1).limit(limit)
    async for event in cursor:
        if (payload := raw_bytes(event)) is not None:
            payloads.add(payload)
        stamps = event.get("timestamp", [])
        timestamps.update(stamps if isinstance(stamps, list) else [stamps])
    return RecentFrames(frozenset(payloads), frozenset(timestamps))
