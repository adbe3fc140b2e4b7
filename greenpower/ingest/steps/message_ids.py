"""Messages with an id: one that comes again gets the time that it had when it came first, and adds nothing.

Only those whose time depends on their arrival need it: a stamp finds its reading by itself. What does not belong here:
how a message is known again (`greenpower.mongo.readings.messages`), messages without an id (`redelivery`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import FrameReading
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import REDELIVERED
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.messages import MessageKey, agree_times


class MessageIds:
    """Gives messages the time of their first arrival. One per ingest process; it keeps nothing in memory."""

    def __init__(self, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]) -> None:
        self.collection = collection
        self._on_retry = on_retry

    async def look(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Set the times of readings that have a message id. Their times must be settled."""
        found: dict[FrameReading, str] = {}
        for item in readings:
            if item.message_id is not None and item.device_id is not None and (item.undated or item.doubtful):
                assert item.arrival.type_name is not None
                found[item] = MessageKey(item.arrival.type_name, item.device_id, item.message_id, item.payload).text
        if not found:
            return readings
        wanted: dict[str, datetime] = {}
        for item, key in found.items():
            assert item.time is not None
            wanted.setdefault(key, item.time)
        received_at = min(item.arrival.received_at for item in found)
        times = await until_written(lambda: agree_times(self.collection, wanted, received_at), on_retry=self._on_retry)
        for item, key in found.items():
            time = times.get(key, item.time)
            if time != item.time:
                item.time, item.undated = time, True
                item.arrival.duplicate = REDELIVERED
        return readings
