"""Frames that the broker delivers again, of devices whose readings have a time that depends on their arrival.

A stamped reading finds itself by its stamp. One without a stamp would be stored twice, and so would one whose stamp was
believed when it came first and is not now, or the other way round: such a frame is compared with the frames of that
device that were stored before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.ingest.arrival import FrameReading
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import REDELIVERED, recent_frames
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.store import recent_payloads
from greenpower.mongo.schema.layout import EVENTS


class Redelivery:
    """Finds readings that were stored before. One per ingest process; it keeps nothing in memory."""

    def __init__(self, db: AsyncDatabase[Document], on_retry: Callable[[Exception], None]) -> None:
        self.db = db
        self._on_retry = on_retry

    async def look(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Mark what was stored before as `redelivered`, and its frame as a duplicate.

        A reading that has no event gets the event of this frame: it is stored again at its time, which adds nothing.
        """
        doubtful: defaultdict[str, list[FrameReading]] = defaultdict(list)
        for item in readings:
            # `message_ids` and `gathering` have looked.
            known = item.message_id is not None or item.arrival.gather is not None
            if item.arrival.dup and (item.undated or item.doubtful) and item.device_id is not None and not known:
                doubtful[item.device_id].append(item)
        for device, several in doubtful.items():
            stored = await until_written(
                lambda device=device, several=several: _stored(self.db, device, several),  # type: ignore[misc]
                on_retry=self._on_retry,
            )
            for item, time in stored:
                item.arrival.duplicate = REDELIVERED
                if time is None:
                    item.redelivered = True
                else:
                    item.time, item.undated = time, True  # of what is stored; whether the device told it stays
        return readings


async def _stored(
    db: AsyncDatabase[Document], device: str, doubtful: list[FrameReading]
) -> list[tuple[FrameReading, datetime | None]]:
    """Which of these were stored before: by their events (None), or, where the event was not written any more, by the
    reading that has none (its time)."""
    frames = await recent_frames(db[EVENTS], device)
    stored: list[tuple[FrameReading, datetime | None]] = []
    by_collection: defaultdict[str, list[FrameReading]] = defaultdict(list)
    for item in doubtful:
        assert item.arrival.datatype is not None
        if item.arrival.payload in frames.payloads:
            stored.append((item, None))
        else:
            by_collection[item.arrival.datatype.collection].append(item)
    for collection, several in by_collection.items():
        payloads = await recent_payloads(db[collection], device)
        orphans = [item for item in payloads if item[0] not in frames.timestamps]
        for item in several:
            timestamp = next((timestamp for timestamp, payload in orphans if payload == item.payload), None)
            if timestamp is not None:
                stored.append((item, timestamp))
    return stored
