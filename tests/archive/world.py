"""Readings to archive, and looking at what became of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from greenpower.archive.columns import plain_bytes
from greenpower.archive.read import ArchiveView
from greenpower.archive.run import ArchiveCounts, run_archive
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from tests.rollups.world import POWER

NOW = datetime(2026, 6, 20, tzinfo=UTC)
AFTER_DAYS = 42  # so all before May
MARCH, APRIL, MAY, JUNE = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5, 6))


def make_reading(device: str, at: datetime, payload: dict[str, Any], **more: Any) -> Document:
    return {
        "_id": new_id(),
        "device_id": device,
        "topic": f"T/{device}",
        "timestamp": at,
        "received_at": at + timedelta(milliseconds=20),
        "updated_at": at + timedelta(milliseconds=30),
        "payload": payload,
        "complete": True,
        **more,
    }


def fill(db: Database[Document], *, devices: Iterable[str] = ("D1", "D2", "Ä"), per_month: int = 40) -> list[Document]:
    """Readings of March to June: floats, whole numbers, sparse fields, odd values."""
    documents = []
    for number, device in enumerate(devices):
        for month in (MARCH, APRIL, MAY, JUNE):
            for step in range(per_month):
                payload: dict[str, Any] = {"g": round(230 + math.sin(step + number), 2), "c": step * 1000 + number}
                if step % 3 == 0:
                    payload["x"] = [1, 1.0, -0.0, 1 / 3, 2**60, "text"][step % 6]
                documents.append(make_reading(device, month + timedelta(minutes=15 * step + number), payload))
    db[POWER.collection].insert_many(documents)
    return documents


def archiving(settings: Settings) -> Settings:
    return settings.model_copy(update={"archive_after_days": AFTER_DAYS})


def archive(db: Database[Document], settings: Settings, **options: Any) -> ArchiveCounts:
    """A run that deletes what earlier runs have archived, at once."""
    return run_archive(db, POWER, archiving(settings), **{"now": NOW, "clear_after": timedelta(0), **options})


def everything(db: Database[Document], settings: Settings, **options: Any) -> list[bytes]:
    """All readings as readers see them, each as BSON, in their order."""
    found = ArchiveView(db, settings).find(
        POWER, None, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), **options
    )
    return [plain_bytes(document) for document in found]


def held(db: Database[Document], begin: datetime, end: datetime) -> int:
    return db[POWER.collection].count_documents({"timestamp": {"$gte": begin, "$lt": end}})
