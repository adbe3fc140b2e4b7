"""The devices that ingest knows from the cache of the registry, in memory, so that a frame costs a look-up.

What belongs here: reading the cache again and again. What does not: what happens to frames of devices that are not in
it (`greenpower.ingest.steps.policy`), writing it (`greenpower.mongo.devices.settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.client import Document

# Writes become visible in about the order of their times.
OVERLAP = timedelta(seconds=5)
KEYS = ("timezone", "registered", "confirmed", "written_at")


class KnownDevices:
    """What ingest asks of the registry: which devices it has, which of them are confirmed, and their own time zones.

    `refresh` reads what was written since the last call. `in` is true of a registered device, confirmed or not. A
    document counts once: it is met again as long as nothing newer is written, and what a deleted device sends
    meanwhile is new.
    """

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._zones: dict[str, tzinfo] = {}
        self._confirmed: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._newest: datetime | None = None
        self._recent: dict[str, tuple[datetime, Mapping[str, object]]] = {}  # what the next call reads again
        self._deleted: set[str] = set()

    def __contains__(self, device_id: object) -> bool:
        return device_id in self._confirmed or device_id in self._unconfirmed

    def is_confirmed(self, device_id: str | None) -> bool:
        """Whether a device is registered and confirmed."""
        return device_id in self._confirmed

    @property
    def count(self) -> int:
        """How many are registered."""
        return len(self._confirmed) + len(self._unconfirmed)

    @property
    def unconfirmed(self) -> int:
        """How many are registered and not confirmed."""
        return len(self._unconfirmed)

    def zone(self, device_id: str) -> tzinfo | None:
        """The zone of a device's stamps, None where the registry names none."""
        return self._zones.get(device_id)

    async def refresh(self) -> None:
        """Raises PyMongoError, and keeps what it knows then."""
        query = {} if self._newest is None else {"written_at": {"$gte": self._newest - OVERLAP}}
        async for document in self.collection.find(query, dict.fromkeys(KEYS, 1)):
            self._take(document)
        if self._newest is not None:
            old = self._newest - OVERLAP
            self._recent = {device: recent for device, recent in self._recent.items() if recent[0] >= old}

    def take_deleted(self) -> set[str]:
        """The devices that were found to be deleted since the last call."""
        deleted, self._deleted = self._deleted, set()
        return deleted

    def _take(self, document: Mapping[str, object]) -> None:
        device, name, written = document["_id"], document.get("timezone"), document.get("written_at")
        assert isinstance(device, str)
        if isinstance(written, datetime):
            if self._recent.get(device) == (written, document):
                return
            self._recent[device] = (written, document)
            self._newest = written if self._newest is None else max(self._newest, written)
        self._confirmed.discard(device)
        self._unconfirmed.discard(device)
        self._deleted.discard(device)
        if not document.get("registered"):
            self._deleted.add(device)
        else:
            # A document that does not say was written before there were unconfirmed devices.
            (self._confirmed if document.get("confirmed", True) else self._unconfirmed).add(device)
        self._zones.pop(device, None)
        if isinstance(name, str):
            with suppress(KeyError, ValueError, OSError):  # one that this machine does not know
                self._zones[device] = ZoneInfo(name)
