"""Resolution: which collection a question about a time range is answered from, and where an open range ends.

What belongs here: the rule, and what it looks up in the database. What does not: the parameter
(`greenpower.api.telemetry.parameters`), reading the rows (`greenpower.mongo.rollups.rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from greenpower.api.http.errors import abort_query
from greenpower.api.telemetry.parameters import MAX_POINTS_PER_DEVICE
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS, between, end_of, one_of
from greenpower.mongo.rollups.on_the_fly import MAX_DOCUMENTS_ON_THE_FLY
from greenpower.mongo.rollups.past import RETENTION_LEEWAY
from greenpower.mongo.rollups.source import count_within
from greenpower.mongo.rollups.tier_view import TierView
from greenpower.mongo.rollups.watermarks import EPOCH
from greenpower.mongo.schema.layout import SEEN

# If no devices are given, the rule looks at this many.
SAMPLE_DEVICES = 5


def tier_view_named(tier_views: Sequence[TierView], resolution: str) -> TierView:
    """The tier view of a resolution. Aborts with 422 if the type does not have it."""
    for tier_view in tier_views:
        if tier_view.resolution == resolution:
            return tier_view
    known = ", ".join(tier_view.resolution for tier_view in tier_views)
    abort_query("resolution", f"There is no resolution {resolution!r}. Resolutions are {known}.")


def choose_tier_view(
    db: Database[Document],
    datatype: DataType,
    tier_views: Sequence[TierView],
    start: datetime | None,
    end: datetime | None,
    devices: Sequence[str],
) -> TierView:
    """The finest resolution that still has data at `start` and gives at most `MAX_POINTS_PER_DEVICE` points per device
    up to `end`.

    If all that have data there give more points, the coarsest of them; if none has, the one that goes back furthest.
    Before a tier's first run its rows are made from the readings, as far as they are few enough for that. start: None
    for the first row there is; end: None for now. devices: empty for all. Raises PyMongoError.
    """
    readings, *tiers = tier_views
    end = datetime.now(UTC) if end is None else end
    with pymongo.timeout(QUERY_SECONDS):
        if start is None and tiers:
            start = _first_time(db, (tiers[-1].collection, readings.collection), devices)
        there = [tier for tier in tiers if _has_data_at(tier, start)]
        reaching = [tier for tier in there if tier.done_until is not None]
        if not _has_data_at(readings, start):
            if not reaching:
                return min(tier_views, key=lambda tier_view: tier_view.kept_from)
        elif _few_readings(db, datatype, readings, start, end, devices):
            return readings
        elif not reaching:
            if not there or not _can_be_made(db, readings, start, end, devices):
                return readings
            reaching = there
    for tier in reaching:
        assert tier.window is not None
        if start is not None and (end - start) // timedelta(seconds=tier.window) < MAX_POINTS_PER_DEVICE:
            return tier
    return reaching[-1]


def open_end(
    db: Database[Document],
    tier_views: Sequence[TierView],
    tier_view: TierView,
    devices: Sequence[str],
    now: datetime,
) -> datetime:
    """The end of a range that was left open: no row of the tier view is later now. Raises PyMongoError."""
    # Buckets that are made on the fly begin before the newest reading.
    names = dict.fromkeys((tier_views[0].collection, tier_view.collection))
    return end_of([db[name] for name in names], one_of("device_id", devices), by="timestamp", now=now)


def _has_data_at(tier_view: TierView, start: datetime | None) -> bool:
    # A start that lay within the retention when the caller computed it may have left it since.
    return start is None or start >= tier_view.kept_from - RETENTION_LEEWAY


def _first_time(db: Database[Document], collections: Sequence[str], devices: Sequence[str]) -> datetime | None:
    """The time of the earliest row of some devices, in several collections."""
    query = one_of("device_id", devices)
    rows = [db[name].find_one(query, {"timestamp": 1}, sort=[("timestamp", ASCENDING)]) for name in collections]
    return min((row["timestamp"] for row in rows if row is not None), default=None)


def _few_readings(
    db: Database[Document],
    datatype: DataType,
    readings: TierView,
    start: datetime | None,
    end: datetime,
    devices: Sequence[str],
) -> bool:
    """Whether no device has more than `MAX_POINTS_PER_DEVICE` readings in a range; a sample of them is looked at."""
    span = between("timestamp", start, end)
    order = [("timestamp", ASCENDING)]
    shown = {"_id": 0, "device_id": 1, "timestamp": 1}
    return not any(
        db[readings.collection].find_one({"device_id": device, **span}, shown, sort=order, skip=MAX_POINTS_PER_DEVICE)
        for device in list(devices)[:SAMPLE_DEVICES] or _recent_devices(db, datatype)
    )


def _can_be_made(
    db: Database[Document], readings: TierView, start: datetime | None, end: datetime, devices: Sequence[str]
) -> bool:
    """Whether buckets of a range can be made from its readings while an answer waits."""
    most = MAX_DOCUMENTS_ON_THE_FLY
    count = count_within(db[readings.collection], start or EPOCH, end, most + 1, devices=devices or None)
    return count <= most


def _recent_devices(db: Database[Document], datatype: DataType) -> list[str]:
    """Some devices of a type: those with the newest readings."""
    recent = db[SEEN].find({"type": datatype.name}).sort("last_reading", DESCENDING).limit(SAMPLE_DEVICES)
    if devices := [document["device_id"] for document in recent]:
        return devices
    newest = db[datatype.collection].find_one({}, {"device_id": 1}, sort=[("timestamp", DESCENDING)])
    return [] if newest is None else [newest["device_id"]]
