"""A setting of a device that changed and with it what its counters counted: every hour of the device that still has
readings is computed again.

The greatest power limits counters of energy; the time zone tells where the days of daily counters begin. The write that
changes one leaves a token in the device's settings (`greenpower.mongo.devices.settings`); it is removed when all hours
are invalidated, unless the setting has changed again meanwhile. So a change whose invalidation was cut short is
finished by the next call, in whichever process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pymongo.database import Database

from greenpower.catalog.facts import daily_counters, energy_counters
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.hours import invalidate_hours
from greenpower.mongo.schema.layout import DEVICE_SETTINGS

# By token, the counters that the setting has a part in.
TOUCHES: Mapping[str, Callable[[DataType], tuple[str, ...]]] = {
    "power_changed": energy_counters,
    "timezone_changed": daily_counters,
}


def invalidate_changed_settings(
    db: Database[Document], datatypes: Iterable[DataType], settings: Settings, devices: Iterable[str] | None = None
) -> int:
    """Invalidate what changed settings touch. devices: None for all. Returns how many changes are done.

    Raises PyMongoError; the next call does the rest.
    """
    known, named = list(datatypes), None if devices is None else list(devices)
    done = 0
    for token, counters_of in TOUCHES.items():
        touched = [datatype for datatype in known if counters_of(datatype)]
        query: Document = {token: {"$exists": True}}
        if named is not None:
            query["_id"] = {"$in": named}
        for document in db[DEVICE_SETTINGS].find(query, {token: 1}).to_list():
            for datatype in touched:
                invalidate_hours(db, datatype, settings, document["_id"])
            db[DEVICE_SETTINGS].update_one(document, {"$unset": {token: ""}})
            done += 1
    return done
