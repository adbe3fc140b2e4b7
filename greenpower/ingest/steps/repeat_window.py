"""The window of a choice: a device's readings in a repeated hour, those included that a batch is about to store."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bson import ObjectId

from greenpower.ingest.arrival import FrameReading
from greenpower.mongo.readings.store import Number

# A neighbour without any of the fragment's counters says nothing: so many are looked at.
NEIGHBOURS = 8


@dataclass(slots=True, eq=False)
class Placed:
    """A reading in a window. object_id: of the one that is stored; None of one that this batch brings. items: what this
    batch brings to it."""

    time: datetime
    payload: Mapping[str, Number]
    received_at: datetime
    object_id: ObjectId | None = None
    items: list[FrameReading] = field(default_factory=list)


class Window:
    """The readings of a device in a repeated hour, in order of time, and the one before it."""

    def __init__(self, before: Placed | None = None, readings: Iterable[Placed] = ()) -> None:
        self.before = before
        self.at = {placed.time: placed for placed in readings}
        self._times = sorted(self.at)

    def last(self, arrival: datetime) -> Placed | None:
        """The newest reading of those that came no later than a frame."""
        return next((self.at[time] for time in reversed(self._times) if self.at[time].received_at <= arrival), None)

    def add(self, time: datetime, item: FrameReading) -> None:
        """A fragment is to be stored at a time."""
        placed = self.at.get(time)
        if placed is None:
            placed = self.at[time] = Placed(time, item.payload, item.arrival.received_at)
            insort(self._times, time)
        else:
            placed.payload = {**item.payload, **placed.payload}
        placed.items.append(item)

    def move(self, placed: Placed, time: datetime) -> None:
        """A reading belongs to another time, at which there is none."""
        del self.at[placed.time]
        self._times.remove(placed.time)
        placed.time, self.at[time] = time, placed
        insort(self._times, time)

    def earlier(self, time: datetime) -> Iterable[Placed]:
        """The nearest readings before a time, the nearest first."""
        index = bisect_left(self._times, time)
        for near in reversed(self._times[max(index - NEIGHBOURS, 0) : index]):
            yield self.at[near]
        if self.before is not None:
            yield self.before

    def later(self, time: datetime) -> Iterable[Placed]:
        """The nearest readings after a time, the nearest first."""
        index = bisect_right(self._times, time)
        return (self.at[near] for near in self._times[index : index + NEIGHBOURS])
