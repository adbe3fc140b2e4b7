"""Signs of life: gathered in memory, written down every few seconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from greenpower.ingest.arrival import Arrival
from greenpower.store.client import Document
from greenpower.store.seen import Sighting, save_seen

# Ids come from outside: a sender that invents them shall not fill the memory between two saves.
MOST_DEVICES = 200_000


class Presence:
    """Who was heard. One an ingest process."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._seen: dict[tuple[str, str], Sighting] = {}

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
                self.heard(name, part.device_id, arrival.received_at, part.timestamp)
            if not arrival.parts and arrival.device is not None:
                self.heard(name, arrival.device, arrival.received_at)

    async def save(self) -> None:
        """Write down what is new. Raises PyMongoError, and keeps it for the next time then."""
        seen, self._seen = self._seen, {}
        try:
            await save_seen(self.collection, seen)
        except PyMongoError:
            for (name, device), sighting in seen.items():
                self.heard(name, device, sighting.first_heard)
                self.heard(name, device, sighting.last_heard, sighting.last_reading)
            raise
