"""Invalidating stretches of a device that are longer than an hour: each hour that has readings.

What belongs here: which hours those are, and what of a type is computed from its counters first. What does not: single
places (`greenpower.mongo.rollups.invalidations`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.measure.counter.rules import SAMPLES_BEFORE
from greenpower.measure.windows import HOUR
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.invalidations import Place, invalidate, start_of_hour
from greenpower.mongo.rollups.tier_view import read_tier_views
from greenpower.mongo.schema.layout import INVALIDATIONS

HOURS_PER_BATCH = 500
ONE_HOUR = timedelta(hours=1)
# Of a stretch that is longer, the rollups go on by themselves as far as numbers change.
MAX_INVALIDATED_HOURS = 1_000


def first_window_tier(datatype: DataType) -> str | None:
    """The prefix of the tier in which a type's counters are first rolled up; None where it has no such tier."""
    return next((tier.prefix for tier in datatype.tiers if tier.window is not None), None)


def invalidate_hours(
    db: Database[Document],
    datatype: DataType,
    settings: Settings,
    device: str,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> int:
    """Invalidate the hours of a device that have readings, from that of `since` to that of `until`, both included.

    None: as far back as readings are whole, and to the newest reading. limit: at most so many hours, the first ones.
    Returns how many hours they are. Raises PyMongoError; some of them are invalidated then, and doing it again does
    no harm.
    """
    prefix = first_window_tier(datatype)
    if prefix is None:
        return 0
    readings = read_tier_views(db, datatype, settings)[0]
    begin = readings.whole_from if since is None else max(start_of_hour(since), readings.whole_from)
    hours = islice(_hours(db[readings.collection], device, begin, until), limit)
    count = 0
    while batch := list(islice(hours, HOURS_PER_BATCH)):
        invalidate(db[INVALIDATIONS], [Place(datatype.name, prefix, device, hour) for hour in batch])
        count += len(batch)
    return count


def invalidate_counter(
    db: Database[Document],
    datatype: DataType,
    settings: Settings,
    device: str,
    at: datetime,
    until: datetime | None = None,
    *,
    before: bool = False,
) -> None:
    """Have computed again what depends on what is known of a device's counters at a time: that hour, and those with
    readings up to `until`, at least the next, which has the sample after it. until: None for the newest reading.
    before: the hours of the samples before it, too, which looked at those after them. Raises PyMongoError.
    """
    prefix = first_window_tier(datatype)
    if prefix is None:
        return
    times = [at]
    if before:
        readings = read_tier_views(db, datatype, settings)[0]
        query = {"device_id": device, "timestamp": {"$lt": at, "$gte": readings.whole_from}}
        found = db[readings.collection].find(query, {"_id": 0, "timestamp": 1}, sort=[("timestamp", DESCENDING)])
        times += [document["timestamp"] for document in found.limit(SAMPLES_BEFORE)]
    invalidate(db[INVALIDATIONS], {Place.of(datatype.name, prefix, device, time) for time in times})
    invalidate_hours(db, datatype, settings, device, at + ONE_HOUR, limit=1)
    invalidate_hours(db, datatype, settings, device, at, until, MAX_INVALIDATED_HOURS)


def _hours(
    collection: Collection[Document], device: str, begin: datetime, until: datetime | None
) -> Iterator[datetime]:
    """The hours with readings. One look at the index per hour: an hour may have thousands of them."""
    while True:
        time: Document = {"$gte": begin}
        if until is not None:
            time["$lte"] = start_of_hour(until) + timedelta(seconds=HOUR, microseconds=-1000)
        found = collection.find_one(
            {"device_id": device, "timestamp": time},
            {"_id": 0, "timestamp": 1},
            sort=[("timestamp", ASCENDING)],
        )
        if found is None:
            return
        hour = start_of_hour(found["timestamp"])
        yield hour
        begin = hour + timedelta(seconds=HOUR)
