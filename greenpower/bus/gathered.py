"""Values that come one by one: told once for each slot, when it has ended.

What belongs here: what waits for the end of its slot. What does not: sending it (`publisher`), how values are merged
(`message`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from greenpower.bus.message import Message, merge_values, reading_message
from greenpower.mongo.readings.batch import StoredBatch

MAX_WAITING = 100_000
MILLISECOND = timedelta(milliseconds=1)

WaitingKey = tuple[str, str]  # type name, device id


class GatheredMessages:
    """Readings whose slots have not ended. gather: {type name: length of its slots in seconds}. One per process."""

    def __init__(self, gather: Mapping[str, float]) -> None:
        self.gather = gather
        self._waiting: dict[WaitingKey, tuple[datetime, Message]] = {}

    def take(self, batch: StoredBatch) -> bool:
        """Take what a batch added to readings. Returns whether anything waits."""
        for type_name, gather in self.gather.items():
            length = timedelta(seconds=gather)
            for reading in batch.readings.get(type_name, ()):
                if not reading.added:
                    continue
                first = reading.fragments[0]
                key = type_name, first.device_id
                message = reading_message(*key, first.timestamp, first.received_at, reading.added, {})
                waiting = self._waiting.get(key)
                if waiting is not None:
                    self._waiting[key] = waiting[0], merge_values(waiting[1], message)
                elif len(self._waiting) < MAX_WAITING:
                    self._waiting[key] = first.timestamp + length, message
        return bool(self._waiting)

    def ended(self, now: datetime) -> list[Message]:
        """The messages of slots that have ended by a time; they wait no more."""
        over = [key for key, (end, _) in self._waiting.items() if end <= now]
        return [self._waiting.pop(key)[1] for key in over]

    def next_end(self) -> datetime | None:
        """When the next slot ends; None where nothing waits."""
        return min((end for end, _ in self._waiting.values()), default=None)
