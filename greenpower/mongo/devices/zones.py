"""The time zones of devices, for those who count by local days.

What belongs here: reading them from the cache of the registry. What does not: what a change of one touches
(`greenpower.mongo.rollups.settings_change`), stamps of devices (`settings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import DEVICE_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceZones:
    """The zones of devices. own: of those that have one; default: of the others, which is `DEVICE_TIMEZONE`."""

    default: tzinfo = UTC
    own: Mapping[str, tzinfo] = field(default_factory=dict)

    def of(self, device: str) -> tzinfo:
        """The zone of a device."""
        return self.own.get(device, self.default)


def read_zones(db: Database[Document], devices: Iterable[str] | None = None) -> dict[str, ZoneInfo]:
    """The zones of those devices that have one of their own. devices: None for all. Raises PyMongoError."""
    query: Document = {"timezone": {"$type": "string"}}
    if devices is not None:
        query["_id"] = {"$in": list(devices)}
    zones = {}
    for found in db[DEVICE_SETTINGS].find(query, {"timezone": 1}):
        with suppress(KeyError, ValueError, OSError):  # one that this machine does not know
            zones[found["_id"]] = ZoneInfo(found["timezone"])
    return zones
