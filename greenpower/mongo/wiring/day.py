"""The readings of a device's day, thinned to one a minute.

What belongs here: reading them in bounded memory. What does not: what the values are (`greenpower.wiring.columns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import SEEN

SLOT_SECONDS = 60
#: of one device and type in a day: more than one a second is no meter
MAX_READINGS_CHECKED = 100_000
SEEN_PER_BATCH = 1_000


def read_minutes(
    readings: Collection[Document], device: str, names: Sequence[str], begin: datetime, end: datetime
) -> list[tuple[float, dict[str, object]]]:
    """One row for each minute of `[begin, end)` with a reading: (epoch seconds, the first value of each field).

    Values that come one by one are put together so. names: the fields that are wanted. Raises PyMongoError.
    """
    projection: Document = {"_id": 0, "timestamp": 1, **{f"payload.{name}": 1 for name in names}}
    query = {"device_id": device, "timestamp": {"$gte": begin, "$lt": end}}
    rows: list[tuple[float, dict[str, object]]] = []
    slot = None
    with readings.find(query, projection).sort("timestamp", ASCENDING).limit(MAX_READINGS_CHECKED) as cursor:
        for document in cursor:
            payload = document.get("payload")
            if not payload:
                continue
            time = document["timestamp"].replace(tzinfo=UTC).timestamp()
            if slot == (here := int(time // SLOT_SECONDS)):
                for name, value in payload.items():
                    rows[-1][1].setdefault(name, value)
            else:
                slot = here
                rows.append((time, dict(payload)))
    return rows


def measured_devices(
    db: Database[Document], types: Iterable[str], since: datetime, device: str | None = None
) -> dict[str, list[str]]:
    """The devices that measured something of some types since a time, with those types, by id. Raises PyMongoError."""
    found: dict[str, list[str]] = {}
    for name in types:
        query: Document = {"type": name, "last_reading": {"$gte": since}}
        if device is not None:
            query["device_id"] = device
        for document in db[SEEN].find(query, {"device_id": 1}, batch_size=SEEN_PER_BATCH):
            found.setdefault(document["device_id"], []).append(name)
    return dict(sorted(found.items()))
