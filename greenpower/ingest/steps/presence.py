"""Signs of life: gathered in memory, written down every few seconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from greenpower.ingest.arrival import Arrival
from greenpower.ingest.steps.interval import IntervalTracker
from greenpower.ingest.steps.policy import UNREGISTERED
from greenpower.mongo.client import Document
from greenpower.mongo.devices.seen import Sighting, save_seen
from greenpower.mongo.devices.status import bring_online

# Ids come from outside: a sender that invents them shall not fill the memory between two saves.
MOST_DEVICES = 200_000


class Presence:
    """Who was heard. One an ingest process."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._seen: dict[tuple[str, str], Sighting] = {}
        self._rhythm = IntervalTracker()

    def heard(self, type_name: str, device: str, at: datetime, reading: datetime | None = None) -> None:
        """A device gave a sign of life; `reading` is the time of the newest reading in it."""
        sighting = self._seen.get((type_name, device))
        if sighting is None:
            if len(self._seen) < MOST_DEVICES:
                self._seen[type_name, device] = Sighting(at, at, reading)
            return
        sighting.last_heard = max(at, sighting.last_heard)
        if reading is not None and (sighting.last_reading is None or reading > sighting.last_reading):
            sighting.last_reading = reading

    def note(self, arrivals: Iterable[Arrival]) -> None:
        """Take the signs of life in a batch that is stored."""
        for arrival in arrivals:
            name = arrival.type_name
            if name is None:
                continue
            for part in arrival.parts:
                self._rhythm.reading((name, part.device_id), part.timestamp)
                self.heard(name, part.device_id, arrival.received_at, part.timestamp)
            # Who may not be heard is not seen either: ids that are made up would fill the registry.
            if not arrival.parts and arrival.device is not None and arrival.rejected != UNREGISTERED:
                self.heard(name, arrival.device, arrival.received_at)

    async def save(self) -> list[Document]:
        """Write down what is new. Returns the documents of devices that came online by it.

        Raises PyMongoError, and keeps what is new for the next time then.
        """
        seen, self._seen = self._seen, {}
        for key, sighting in seen.items():
            if sighting.last_reading is not None:
                sighting.interval = self._rhythm.interval(key)
        try:
            await save_seen(self.collection, seen)
            return await bring_online(self.collection, seen, datetime.now(UTC))
        except PyMongoError:
            for (name, device), sighting in seen.items():
                self.heard(name, device, sighting.first_heard)
                self.heard(name, device, sighting.last_heard, sighting.last_reading)
            raise
