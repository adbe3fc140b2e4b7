"""The greatest power of each device, for those who count energy.

What belongs here: reading it from the cache of the registry. What does not: what a change of it touches
(`greenpower.mongo.rollups.settings_change`).
"""

from __future__ import annotations

from collections.abc import Iterable

from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import DEVICE_SETTINGS


def read_powers(db: Database[Document], devices: Iterable[str] | None = None) -> dict[str, float]:
    """The greatest powers in kW (kvar, kVA) of those devices that have one. devices: None for all.

    Raises PyMongoError.
    """
    query: Document = {"greatest_power": {"$type": "number"}}
    if devices is not None:
        query["_id"] = {"$in": list(devices)}
    return {found["_id"]: found["greatest_power"] for found in db[DEVICE_SETTINGS].find(query, {"greatest_power": 1})}
