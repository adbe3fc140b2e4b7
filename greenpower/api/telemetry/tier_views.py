"""Where the data of a type can be read now, remembered by each app for a second: every list asks for it."""

from __future__ import annotations

import time

import pymongo
from flask import Flask, current_app

from greenpower.api.http.context import database, get_context
from greenpower.datatype import DataType
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.rollups.tier_view import Tiers, TierView, make_tier_views, read_tiers

# Rollup progress by data type, with the time it was read. An older watermark does no harm: more of the answer is then
# computed on the fly.
PROGRESS_KEY = "greenpower.rollup_progress"
PROGRESS_SECONDS = 1.0


def tier_views_of(datatype: DataType) -> tuple[TierView, ...]:
    """Where a type can be read now: its readings, then its tiers, finest first. Raises PyMongoError."""
    known: dict[str, tuple[float, Tiers]] = current_app.extensions.setdefault(PROGRESS_KEY, {})
    read_at, progress = known.get(datatype.name, (0.0, {}))
    if datatype.tiers and time.monotonic() - read_at > PROGRESS_SECONDS:
        with pymongo.timeout(QUERY_SECONDS):
            progress = read_tiers(database(), datatype)
        known[datatype.name] = (time.monotonic(), progress)
    return make_tier_views(datatype, get_context().settings, progress)


def forget_tier_views(app: Flask) -> None:
    """Read the rollup progress again with the next request."""
    app.extensions.pop(PROGRESS_KEY, None)
