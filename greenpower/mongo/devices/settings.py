"""The cache of the device registry: what processes without SQL need to know of a device.

One `DeviceSettingsDocument` per device. SQL is the truth; the API writes a device that it changed, a job writes what
differs. `updated_at` is the registry's, so that an older state never overwrites a newer one; `written_at` is the
server's time, by which readers find what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import cast
from zoneinfo import ZoneInfo

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document
from greenpower.mongo.devices.document import DeviceSettingsDocument

# Writes become visible in about the order of their times.
OVERLAP = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What the registry says of a device; None where it says nothing. updated_at: when it was last changed there.
    registered: False for one that was deleted."""

    device_id: str
    updated_at: datetime
    timezone: str | None = None
    interval_seconds: int | None = None
    zone_id: int | None = None
    registered: bool = True

    def document(self) -> Document:
        """The part of its document that is compared."""
        return {
            "registered": self.registered,
            "timezone": self.timezone,
            "interval_seconds": self.interval_seconds,
            "zone_id": self.zone_id,
            "updated_at": _milliseconds(self.updated_at),
        }


def write_settings(collection: Collection[Document], settings: Iterable[DeviceSettings]) -> int:
    """Write devices' settings unless newer ones are there. Returns how many changed. Raises PyMongoError."""
    updates = [
        UpdateOne(
            {"_id": one.device_id, "updated_at": {"$lte": _milliseconds(one.updated_at)}},
            {"$set": one.document(), "$currentDate": {"written_at": True}},
            upsert=True,
        )
        for one in settings
    ]
    if not updates:
        return 0
    try:
        result = collection.bulk_write(updates, ordered=False)
    except BulkWriteError as error:
        outcome = read_duplicates(error)  # the upsert meets the newer document that its filter did not
        return outcome.modified + outcome.upserted
    return result.modified_count + result.upserted_count


def read_settings(collection: Collection[Document]) -> dict[str, DeviceSettingsDocument]:
    """All documents, by device. Raises PyMongoError."""
    return {document["_id"]: cast("DeviceSettingsDocument", document) for document in collection.find()}


def _milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class KnownDevices:
    """What ingest asks of the registry: which devices it has, and their own time zones. In memory, so that a frame
    costs a look-up; `refresh` reads what was written since the last call.
    """

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._zones: dict[str, tzinfo] = {}
        self._registered: set[str] = set()
        self._newest: datetime | None = None

    def __contains__(self, device_id: object) -> bool:
        return device_id in self._registered

    def zone(self, device_id: str) -> tzinfo | None:
        """The zone of a device's stamps, None where the registry names none."""
        return self._zones.get(device_id)

    async def refresh(self) -> None:
        """Raises PyMongoError, and keeps what it knows then."""
        query = {} if self._newest is None else {"written_at": {"$gte": self._newest - OVERLAP}}
        async for document in self.collection.find(query, {"timezone": 1, "registered": 1, "written_at": 1}):
            self._take(document)

    def _take(self, document: Mapping[str, object]) -> None:
        device, name, written = document["_id"], document.get("timezone"), document.get("written_at")
        assert isinstance(device, str)
        if isinstance(written, datetime) and (self._newest is None or written > self._newest):
            self._newest = written
        (self._registered.add if document.get("registered") else self._registered.discard)(device)
        self._zones.pop(device, None)
        if isinstance(name, str):
            with suppress(KeyError, ValueError, OSError):  # one that this machine does not know
                self._zones[device] = ZoneInfo(name)
