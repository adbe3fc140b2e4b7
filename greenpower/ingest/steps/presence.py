"""Signs of life: gathered in memory, written down every few seconds. And the interval at which each device sends."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from greenpower.ingest.steps.pairing import UNREGISTERED
from greenpower.measure.presence import GAPS, usual_interval
from greenpower.mongo.client import Document
from greenpower.mongo.devices.seen import Sighting, save_seen
from greenpower.mongo.devices.status import bring_online
from greenpower.mongo.readings.batch import StoredBatch

# Ids come from outside: a sender that invents them must not fill the memory.
MAX_SIGHTINGS = 200_000
MAX_INTERVALS = 100_000

Key = tuple[str, str]  # type name, device id


class IntervalTracker:
    """Knows the gaps between the newest readings of each device. Those heard longest ago are forgotten first."""

    def __init__(self) -> None:
        self._devices: OrderedDict[Key, tuple[datetime, tuple[float, ...]]] = OrderedDict()

    def reading(self, key: Key, timestamp: datetime) -> None:
        """A reading of this measured time came. Further fragments and late readings say nothing."""
        last, gaps = self._devices.get(key, (timestamp, ()))
        if timestamp > last:
            gaps = (*gaps, (timestamp - last).total_seconds())[-GAPS:]
        self._devices[key] = (max(timestamp, last), gaps)
        self._devices.move_to_end(key)
        if len(self._devices) > MAX_INTERVALS:
            self._devices.popitem(last=False)

    def interval(self, key: Key) -> float | None:
        """The interval in seconds, None while it is not known."""
        _, gaps = self._devices.get(key, (None, ()))
        return usual_interval(gaps)


class Presence:
    """Which devices were heard. One per ingest process."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._seen: dict[Key, Sighting] = {}
        self._intervals = IntervalTracker()

    def heard(self, type_name: str, device: str, at: datetime, reading: datetime | None = None) -> None:
        """A device gave a sign of life; `reading` is the time of the newest reading in it."""
        sighting = self._seen.get((type_name, device))
        if sighting is None:
            if len(self._seen) < MAX_SIGHTINGS:
                self._seen[type_name, device] = Sighting(at, at, reading)
            return
        sighting.last_heard = max(at, sighting.last_heard)
        if reading is not None and (sighting.last_reading is None or reading > sighting.last_reading):
            sighting.last_reading = reading

    def note(self, batch: StoredBatch) -> None:
        """Take the signs of life in a batch."""
        for name, fragment in batch.fragments():
            if fragment.fault:
                self.heard(name, fragment.device_id, fragment.received_at)
                continue
            self._intervals.reading((name, fragment.device_id), fragment.timestamp)
            self.heard(name, fragment.device_id, fragment.received_at, fragment.timestamp)
        for frame in batch.frames:
            # A device that is refused is not seen either: ids that are made up would fill the registry.
            if frame.fragments or frame.reason == UNREGISTERED:
                continue
            if frame.type_name is not None and frame.device_id is not None:
                self.heard(frame.type_name, frame.device_id, frame.received_at)

    async def save(self) -> list[Document]:
        """Write down what is new. Returns the documents of devices that came online by it.

        Raises PyMongoError, and keeps what is new for the next time then.
        """
        seen, self._seen = self._seen, {}
        for key, sighting in seen.items():
            if sighting.last_reading is not None:
                sighting.interval = self._intervals.interval(key)
        try:
            await save_seen(self.collection, seen)
            return await bring_online(self.collection, seen, datetime.now(UTC))
        except PyMongoError:
            for (name, device), sighting in seen.items():
                self.heard(name, device, sighting.first_heard)
                self.heard(name, device, sighting.last_heard, sighting.last_reading)
            raise
