"""What devices showed lately: the newest value of some fields, of those that a device sends."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import DESCENDING
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import held_by_mongo

#: a device may send its values in turns
MAX_READINGS_LOOKED_AT = 50


def newest_shown(readings: Collection[Document], device: str, names: Sequence[str]) -> dict[str, float]:
    """The newest value of each of some fields in the newest readings of a device; fields without one are not in it.
    Raises PyMongoError."""
    projection = {"_id": 0, **{f"payload.{name}": 1 for name in names}}
    found: dict[str, float] = {}
    query = held_by_mongo(readings).find({"device_id": device}, projection).sort("timestamp", DESCENDING)
    with query.limit(MAX_READINGS_LOOKED_AT) as cursor:
        for document in cursor:
            for name, value in document.get("payload", {}).items():
                if isinstance(value, int | float):
                    found.setdefault(name, value)
            if len(found) == len(names):
                break
    return found
