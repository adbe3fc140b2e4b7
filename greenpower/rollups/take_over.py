"""Taking over what others left unfinished: a backfill, an import or a demonstration that was killed.

What belongs here: turning notes that nobody renews any more into invalidations, a day at a time. What does not: setting
notes (`greenpower.mongo.rollups.unfinished`), computing (`recompute`).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_part import DAY
from greenpower.mongo.readings.federated import FederatedReadings
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.source import first_time, query_of
from greenpower.mongo.rollups.tier_view import read_tier_views
from greenpower.mongo.rollups.unfinished import ABANDONED_AFTER, Unfinished, read_unfinished, shorten
from greenpower.rollups.tier_run import MayContinue, TierRun, always

log = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400
#: of a run: what is left is for the next one
MAX_PLACES_PER_RUN = 20_000
FIRST_RANGE = 0


def take_over(run: TierRun, may_continue: MayContinue = always) -> None:
    """Invalidate what notes of processes that are gone are about. Only in runs of a type's finest tier. Raises
    PyMongoError."""
    datatype = run.plan.datatype
    if run.plan.tier is not datatype.tiers[0] or FIRST_RANGE not in run.ranges:
        return
    left = MAX_PLACES_PER_RUN
    for item in read_unfinished(run.invalidations, datatype.name):
        if item.updated_at > datetime.now(UTC) - ABANDONED_AFTER:
            continue
        log.warning(
            "%s: %s of %s to %s was left unfinished: taken over", run.plan.name, item.work, item.begin, item.end
        )
        here = item.begin
        while here < item.end and left > 0 and may_continue():
            here, count = _day(run, item, here)
            left -= count
            shorten(run.invalidations, item, here)


def _day(run: TierRun, item: Unfinished, begin: datetime) -> tuple[datetime, int]:
    """Invalidate the next day that has readings. Returns its end, and how many hours they are."""
    readings = run.db[read_tier_views(run.db, run.plan.datatype, run.settings)[0].collection]
    first = first_time(readings, begin)
    if first is None or first >= item.end:
        return item.end, 0
    begin = max(begin, floor(first, SECONDS_PER_DAY))
    end = min(item.end, floor(begin, SECONDS_PER_DAY) + DAY)
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    places = [Place.of(name, prefix, device, hour) for device, hour in _hours(readings, item, begin, end)]
    invalidate(run.invalidations, places)
    return end, len(places)


def _hours(readings: Any, item: Unfinished, begin: datetime, end: datetime) -> set[tuple[str, datetime]]:
    """(device, hour) of the readings of a span."""
    query = query_of(begin, end, None if item.devices is None else list(item.devices))
    if isinstance(readings, FederatedReadings):
        if readings.reaches_archive(query):
            rows = readings.find(query, {"_id": 0, "device_id": 1, "timestamp": 1})
            return {(row["device_id"], floor(row["timestamp"], 3_600)) for row in rows}
        readings = readings.held
    hour: Document = {"$dateTrunc": {"date": "$timestamp", "unit": "hour"}}
    stages = [{"$match": query}, {"$group": {"_id": {"device": "$device_id", "hour": hour}}}]
    return {(row["_id"]["device"], row["_id"]["hour"]) for row in readings.aggregate(stages)}
