"""The interval at which each device sends, from the times of its newest readings."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from greenpower.measure.presence import GAPS, usual_interval

# Ids come from outside: those that were not heard for longest are forgotten.
MOST_DEVICES = 100_000

Key = tuple[str, str]


class IntervalTracker:
    """Knows the gaps between the readings of each (type, device). One an ingest process."""

    def __init__(self) -> None:
        self._devices: OrderedDict[Key, tuple[datetime, tuple[float, ...]]] = OrderedDict()

    def reading(self, key: Key, timestamp: datetime) -> None:
        """A reading of this measured time came. Further parts and late readings say nothing."""
        last, gaps = self._devices.get(key, (timestamp, ()))
        if timestamp > last:
            gaps = (*gaps, (timestamp - last).total_seconds())[-GAPS:]
        self._devices[key] = (max(timestamp, last), gaps)
        self._devices.move_to_end(key)
        if len(self._devices) > MOST_DEVICES:
            self._devices.popitem(last=False)

    def interval(self, key: Key) -> float | None:
        """The interval in seconds, None while it is not known."""
        _, gaps = self._devices.get(key, (None, ()))
        return usual_interval(gaps)
