"""Clocks that have stopped: a stamp that repeats with other values, more often than by accident."""

from __future__ import annotations

from datetime import datetime

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.client import Document
from greenpower.mongo.devices import clocks
from greenpower.mongo.readings.store import Number

# A meter repeats a frame two or three times and may differ in a last digit; more than this at one stamp is no accident.
MAX_ODD_CONFLICTS = 3
MAX_STAMPS = 200_000

Key = tuple[str, str]  # type name, device id


class _NewestStamp:
    """The newest stamp of one device and type, what was seen at it, and how often it came with other values."""

    __slots__ = ("conflicts", "time", "values")

    def __init__(self, time: datetime, values: dict[str, Number]) -> None:
        self.begin(time, values)

    def begin(self, time: datetime, values: dict[str, Number]) -> None:
        """A newer stamp came."""
        self.time = time
        self.values = values
        self.conflicts = 0


class StuckClocks:
    """Which clocks are stuck. One per ingest process."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._newest: dict[Key, _NewestStamp] = {}
        self._stuck: dict[Key, datetime] = {}
        self.changed: dict[Key, datetime | None] = {}

    async def load(self) -> None:
        """Read which clocks are stuck. Raises PyMongoError."""
        self._stuck = await clocks.stuck_stamps(self.collection)

    def is_stuck(self, key: Key, time: datetime, payload: dict[str, Number]) -> bool:
        """Whether a device's clock has stopped at this time, now that it came with these values."""
        newest = self._newest.get(key)
        if newest is None or newest.time != time:
            if newest is None:
                if len(self._newest) >= MAX_STAMPS:
                    del self._newest[next(iter(self._newest))]
                self._newest[key] = _NewestStamp(time, payload)
            else:
                newest.begin(time, payload)
            if key in self._stuck and self._stuck[key] != time:
                del self._stuck[key]
                self.changed[key] = None
        else:
            known = newest.values
            if any(known.get(name, value) != value for name, value in payload.items()):
                newest.conflicts += 1
            newest.values = {**payload, **known}
            if newest.conflicts > MAX_ODD_CONFLICTS and key not in self._stuck:
                self._stuck[key] = self.changed[key] = time
        return bool(self._stuck) and self._stuck.get(key) == time

    def stands_at(self, key: Key) -> datetime | None:
        """The time at which a device's clock has stopped; None where it goes on."""
        return self._stuck.get(key)

    def newest(self, key: Key) -> tuple[datetime, dict[str, Number]] | None:
        """The stamp that a device sent last, in UTC, and the values that came with it."""
        newest = self._newest.get(key)
        return None if newest is None else (newest.time, newest.values)

    async def save(self) -> None:
        """Write what has changed. Raises PyMongoError."""
        for (type_name, device), stamp in list(self.changed.items()):
            await clocks.set_stuck(self.collection, type_name, device, stamp)
            self.changed.pop((type_name, device), None)
