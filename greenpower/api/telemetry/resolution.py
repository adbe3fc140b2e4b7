"""Resolution: which collection a question about a range of time is answered from.

What belongs here: the rule, and the parameter. What does not: reading the rows (`greenpower.mongo.rollups.series`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import marshmallow as ma
import pymongo
from flask import Flask, abort, current_app
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import database, get_context
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.query import SECONDS, between
from greenpower.mongo.rollups.tier_view import RAW, Tiers, TierView, make_tier_views, read_tiers
from greenpower.mongo.schema.layout import SEEN

AUTO = "auto"
# Where an app keeps what it knows of the rollups, and how long. An older watermark does no harm: the tail is longer.
KNOWN = "greenpower.progress"
KNOWN_SECONDS = 1.0
# As many points of a device as a chart can show.
MOST_POINTS = 2_000
# A range that began at the tier's retention when the caller wrote it down has moved on a little since.
LEEWAY = timedelta(seconds=60)
# So many devices stand for all of a type.
LOOKED_AT = 5


def resolutions(datatype: DataType) -> tuple[str, ...]:
    """The resolutions that a type can be read at, finest first."""
    return (RAW, *(tier.resolution for tier in datatype.tiers if tier.window is not None))


def resolution_field(datatype: DataType, default: str = AUTO) -> ma.fields.String:
    """The parameter `resolution` of a type's resources."""
    given = resolutions(datatype)
    allowed = (AUTO, *given) if default == AUTO else given
    text = f"{RAW}: readings as measured; else buckets of that length."
    if default == AUTO:
        text += f" {AUTO}: the finest that holds start_time still and gives at most {MOST_POINTS} points a device."
    return ma.fields.String(load_default=default, validate=ma.validate.OneOf(allowed), metadata=describe(text))


def tier_views_of(datatype: DataType) -> tuple[TierView, ...]:
    """What of a type can be read where, now. How far its rollups are is asked at most once a second."""
    context = get_context()
    known: dict[str, tuple[float, Tiers]] = current_app.extensions.setdefault(KNOWN, {})
    at, progress = known.get(datatype.name, (0.0, {}))
    if datatype.tiers and time.monotonic() - at > KNOWN_SECONDS:
        with pymongo.timeout(SECONDS):
            progress = read_tiers(context.mongo.database, datatype)
        known[datatype.name] = (time.monotonic(), progress)
    return make_tier_views(datatype, context.settings, progress)


def forget_tier_views(app: Flask) -> None:
    """Ask anew at the next question."""
    app.extensions.pop(KNOWN, None)


def named(tier_views: Sequence[TierView], resolution: str) -> TierView:
    """The shelf of a resolution. Aborts with 422 where the type has none such."""
    for tier_view in tier_views:
        if tier_view.resolution == resolution:
            return tier_view
    abort(422, f"There is no resolution {resolution}.")


def choose(
    tier_views: Sequence[TierView], start: datetime | None, end: datetime, few_readings: Callable[[], bool]
) -> TierView:
    """The finest shelf that holds `start` and gives at most `MOST_POINTS` points a device until `end`.

    Where all that hold it give more, the coarsest of those. start: None for the beginning. few_readings: whether raw
    gives few enough; asked only if it matters.
    """
    readings, *tiers = tier_views
    holding = [tier_view for tier_view in tiers if tier_view.done_until is not None and _holds(tier_view, start)]
    if _holds(readings, start):
        if not holding or few_readings():
            return readings
    elif not holding:
        return min(tier_views, key=lambda tier_view: tier_view.kept_from)
    for tier_view in holding:
        assert tier_view.window is not None
        if start is not None and (end - start) // timedelta(seconds=tier_view.window) < MOST_POINTS:
            return tier_view
    return holding[-1]


def _holds(tier_view: TierView, start: datetime | None) -> bool:
    return start is None or start >= tier_view.kept_from - LEEWAY


def choose_for(
    datatype: DataType,
    tier_views: Sequence[TierView],
    start: datetime | None,
    end: datetime | None,
    devices: Sequence[str],
) -> TierView:
    """`choose`, with a look at what there is."""
    db = database()
    readings = db[tier_views[0].collection]
    until = datetime.now(UTC) if end is None else end
    with pymongo.timeout(SECONDS):
        asked = list(devices)[:LOOKED_AT] or _lively(db, datatype)
        if start is None and len(tier_views) > 1:
            query: Document = {"device_id": {"$in": list(devices)}} if devices else {}
            sources = (tier_views[-1].collection, tier_views[0].collection)
            found = (db[name].find_one(query, {"timestamp": 1}, sort=[("timestamp", ASCENDING)]) for name in sources)
            start = min((row["timestamp"] for row in found if row is not None), default=None)

        def few() -> bool:
            span = between("timestamp", start, end)
            shown = {"_id": 0, "device_id": 1, "timestamp": 1}
            return not any(
                readings.find_one({"device_id": device, **span}, shown, sort=[("timestamp", 1)], skip=MOST_POINTS)
                for device in asked
            )

        return choose(tier_views, start, until, few)


def _lively(db: Database[Document], datatype: DataType) -> list[str]:
    """Some devices of a type, those that were last to send."""
    recent = db[SEEN].find({"type": datatype.name}).sort("last_reading", DESCENDING).limit(LOOKED_AT)
    if devices := [document["device_id"] for document in recent]:
        return devices
    newest = db[datatype.collection].find_one({}, {"device_id": 1}, sort=[("timestamp", DESCENDING)])
    return [] if newest is None else [newest["device_id"]]
