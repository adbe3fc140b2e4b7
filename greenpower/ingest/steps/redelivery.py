"""Frames that the broker delivers again, of devices whose readings have a time that depends on their arrival.

A stamped reading finds itself by its stamp. One without a stamp would be stored twice, and so would one whose stamp was
believed when it came first and is not now, or the other way round: such a frame is compared with the frames of that
device that were stored before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.ingest.arrival import Found
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import REDELIVERED, recent_frames
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.store import recent_payloads
from greenpower.mongo.schema.layout import EVENTS


async def drop_redelivered(
    db: AsyncDatabase[Document], batch: list[Found], on_retry: Callable[[Exception], None]
) -> list[Found]:
    """The batch without what was stored before; the frames dropped are marked as duplicates."""
    doubtful: defaultdict[str, list[Found]] = defaultdict(list)
    for found in batch:
        depends = found.undated or found.doubtful
        if found.arrival.dup and depends and found.device_id is not None:
            doubtful[found.device_id].append(found)
    if not doubtful:
        return batch
    dropped: set[int] = set()
    for device, several in doubtful.items():
        for found in await until_written(lambda d=device, s=several: _stored(db, d, s), on_retry=on_retry):  # type: ignore[misc]
            found.arrival.duplicate = REDELIVERED
            dropped.add(id(found))
    return [found for found in batch if id(found) not in dropped]


async def _stored(db: AsyncDatabase[Document], device: str, doubtful: list[Found]) -> list[Found]:
    """Which of these were stored before: by their events, or, where the event was not written any more, by the reading
    that has none."""
    frames = await recent_frames(db[EVENTS], device)
    stored = []
    by_collection: defaultdict[str, list[Found]] = defaultdict(list)
    for found in doubtful:
        assert found.arrival.datatype is not None
        if found.arrival.payload in frames.payloads:
            stored.append(found)
        else:
            by_collection[found.arrival.datatype.collection].append(found)
    for collection, several in by_collection.items():
        payloads = await recent_payloads(db[collection], device)
        orphans = [item for item in payloads if item[0] not in frames.timestamps]
        for found in several:
            timestamp = next((timestamp for timestamp, payload in orphans if payload == found.payload), None)
            if timestamp is not None:
                found.time = timestamp  # what may not have been marked then is marked now
                stored.append(found)
    return stored
