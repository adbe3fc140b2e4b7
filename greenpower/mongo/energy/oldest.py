"""The oldest that is left of devices: whether anything of one is older than a time, in its tiers or in the ledger.

Asked of one device after the other while a stretch is rolled up, and read for all of them at once. What belongs here:
that question. What does not: what is left (`greenpower.mongo.energy.carries`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_part import day_of
from greenpower.mongo.rollups.source import devices_with, oldest_documents
from greenpower.mongo.schema.layout import INTERVALS


class OldestOf:
    """Reads nothing before it is asked."""

    def __init__(self, db: Database[Document], datatype: DataType, devices: Sequence[str]) -> None:
        self.db, self.datatype, self.devices = db, datatype, devices
        self._first: dict[str, datetime] | None = None
        self._in_ledger: dict[datetime, set[str]] = {}

    def is_older(self, device: str, time: datetime) -> bool:
        """Whether any bucket, or any day of the ledger, of a device is older than a time. Raises PyMongoError."""
        if self._first is None:
            self._first = self._read_first()
        first = self._first.get(device)
        return (first is not None and first < time) or device in self._with_days_before(day_of(time))

    def _read_first(self) -> dict[str, datetime]:
        """The first sample of each device's buckets."""
        found: dict[str, datetime] = {}
        for tier in self.datatype.tiers:
            if tier.window is None:
                continue
            buckets = self.db[tier.prefix + self.datatype.collection]
            for device, bucket in oldest_documents(buckets, self.devices, {"coverage.first": 1}):
                first = bucket["coverage"]["first"]
                found[device] = min(first, found.get(device, first))
        return found

    def _with_days_before(self, day: datetime) -> set[str]:
        """The devices that have days in the ledger before one."""
        found = self._in_ledger.get(day)
        if found is None:
            where: Document = {"type": self.datatype.name, "day": {"$lt": day}}
            found = self._in_ledger[day] = set(devices_with(self.db[INTERVALS], self.devices, where))
        return found
