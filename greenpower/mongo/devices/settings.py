"""The cache of the device registry: what processes without SQL need to know of a device.

One `DeviceSettingsDocument` per device. SQL is the truth; the API writes a device that it changed, a job writes what
differs. `updated_at` is the registry's, so that an older state never overwrites a newer one; `written_at` is the
server's time, by which readers find what is new.

A greatest power or a time zone that changes changes what was counted. The write that changes it leaves a token,
`power_changed` or `timezone_changed`, until all hours that it touches are invalidated
(`greenpower.mongo.rollups.settings_change`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document
from greenpower.mongo.devices.document import DeviceSettingsDocument

MAX_SETTINGS_PER_WRITE = 1_000
# Every process has read by then that a device was deleted.
DELETED_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What the registry says of a device; None where it says nothing. updated_at: when it was last changed there.
    registered: False for one that was deleted. confirmed: False for one that was only heard."""

    device_id: str
    updated_at: datetime
    timezone: str | None = None
    interval_seconds: int | None = None
    greatest_power: float | None = None
    zone_id: int | None = None
    registered: bool = True
    confirmed: bool = True

    def document(self) -> Document:
        """The part of its document that is compared."""
        return {
            "registered": self.registered,
            "confirmed": self.registered and self.confirmed,
            "timezone": self.timezone,
            "interval_seconds": self.interval_seconds,
            "greatest_power": self.greatest_power,
            "zone_id": self.zone_id,
            "updated_at": _milliseconds(self.updated_at),
        }


def write_settings(collection: Collection[Document], settings: Iterable[DeviceSettings]) -> int:
    """Write devices' settings unless newer ones are there. Returns how many changed. Raises PyMongoError."""
    wanted = list(settings)
    firsts = range(0, len(wanted), MAX_SETTINGS_PER_WRITE)
    return sum(_write(collection, wanted[first : first + MAX_SETTINGS_PER_WRITE]) for first in firsts)


def _write(collection: Collection[Document], settings: Iterable[DeviceSettings]) -> int:
    updates = [
        UpdateOne(
            {"_id": one.device_id, "updated_at": {"$lte": _milliseconds(one.updated_at)}},
            [{"$set": _change(one)}],
            upsert=True,
        )
        for one in settings
    ]
    try:
        result = collection.bulk_write(updates, ordered=False)
    except BulkWriteError as error:
        outcome = read_duplicates(error)  # the upsert meets the newer document that its filter did not
        return outcome.modified + outcome.upserted
    return result.modified_count + result.upserted_count


def _change(settings: DeviceSettings) -> Document:
    """What a write sets: expressions, since only the server knows which power and zone were there before."""
    return {
        **{name: {"$literal": value} for name, value in settings.document().items()},
        "power_changed": _token("power_changed", "greatest_power", settings.greatest_power),
        "timezone_changed": _token("timezone_changed", "timezone", settings.timezone),
        "written_at": "$$NOW",
    }


def _token(token: str, key: str, value: float | str | None) -> Document:
    """The token that is there, or a new one where a setting is another now."""
    same = {"$eq": [{"$ifNull": [f"${key}", None]}, {"$literal": value}]}
    return {"$cond": [same, f"${token}", ObjectId()]}


def read_settings(collection: Collection[Document]) -> dict[str, DeviceSettingsDocument]:
    """All documents, by device. Raises PyMongoError."""
    return {document["_id"]: cast("DeviceSettingsDocument", document) for document in collection.find()}


def _milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def forget_deleted(collection: Collection[Document], now: datetime) -> int:
    """Remove the documents of devices that were deleted long ago. Returns how many. Raises PyMongoError.

    Those that still have a token stay until its hours are invalidated.
    """
    old: Document = {"written_at": {"$lt": now - DELETED_KEPT}, "registered": False}
    tokens = {token: {"$exists": False} for token in ("power_changed", "timezone_changed")}
    return collection.delete_many({**old, **tokens}).deleted_count
