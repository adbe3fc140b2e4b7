"""`/api/rollups/`: the progress of the rollups, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
import pymongo
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.fields import EXAMPLE_TYPE, time_field
from greenpower.api.http.json import answer
from greenpower.datatype import DataType, Tier
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.rollups.lag import range_lags, seconds_behind
from greenpower.mongo.rollups.ranges import keys_of
from greenpower.mongo.rollups.watermarks import Progress, read_progress
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.sql import RoleName


class RangeProgressSchema(ma.Schema):
    """The progress of device ranges of a tier that are equally far."""

    ranges = ma.fields.List(
        ma.fields.String(),
        required=True,
        metadata=describe(
            "hexadecimal digits; a device is in the range of the first digit of its id's SHA-256", example=["3", "a"]
        ),
    )
    watermark = time_field("buckets of their devices that end by then are final; null: none yet", null=True)
    behind_seconds = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("how far the watermark is behind; null: never ran")
    )
    error = ma.fields.String(required=True, metadata=describe("error of the last run; empty: none"))


class ProgressSchema(ma.Schema):
    """The progress of a tier."""

    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    prefix = ma.fields.String(required=True, metadata=describe("prefix of the tier's collection", example="today_"))
    resolution = ma.fields.String(required=True, metadata=describe("length of its buckets", example="1m"))
    watermark = time_field("buckets that end by then are final; null: none yet", null=True)
    behind_seconds = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("how far the watermark is behind; null: never ran")
    )
    left_alone = ma.fields.Integer(
        required=True, metadata=describe("buckets that could not be computed again because their source has expired")
    )
    ran_at = time_field("last run, UTC; null: never ran", null=True)
    error = ma.fields.String(required=True, metadata=describe("error of the last run; empty: none"))
    ranges = ma.fields.List(
        ma.fields.Nested(RangeProgressSchema),
        required=True,
        metadata=describe("the device ranges, where they are not equally far or one has an error; else empty"),
    )


class ProgressList(ma.Schema):
    """All tiers."""

    results = ma.fields.List(ma.fields.Nested(ProgressSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("rollups", __name__, url_prefix="/api/rollups", description="Rollup progress")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(503)
    @blueprint.response(200, ProgressList)
    def list_progress() -> Response:
        """List the progress of each tier

        By data type, finest tier first.
        """
        watermarks, now = database()[WATERMARKS], datetime.now(UTC)
        with pymongo.timeout(QUERY_SECONDS):
            rows = [
                _present(datatype, tier, read_progress(watermarks, datatype.name, tier.prefix), now)
                for datatype in get_context().registry
                for tier in datatype.tiers
            ]
        return answer({"results": rows})

    return blueprint


def _present(datatype: DataType, tier: Tier, progress: Progress, now: datetime) -> dict[str, Any]:
    return {
        "type": datatype.name,
        "prefix": tier.prefix,
        "resolution": tier.resolution,
        "watermark": progress.watermark,
        "behind_seconds": _behind(progress.watermark, tier, now),
        "left_alone": progress.left_alone,
        "ran_at": progress.ran_at,
        "error": progress.error,
        "ranges": [
            {
                "ranges": keys_of(part.ranges),
                "watermark": part.watermark,
                "behind_seconds": part.behind,
                "error": part.error,
            }
            for part in range_lags(progress, tier.window, now)
        ],
    }


def _behind(watermark: datetime | None, tier: Tier, now: datetime) -> float | None:
    return None if watermark is None else seconds_behind(watermark, tier.window, now)
