"""`/api/rollups/`: how far each tier is computed, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
import pymongo
from flask import Response

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.fields import time_field
from greenpower.api.http.json import answer
from greenpower.api.telemetry.schema import TYPE
from greenpower.datatype import DataType, Tier
from greenpower.measure.grace import done_before
from greenpower.mongo.query import SECONDS
from greenpower.mongo.rollups.watermarks import Progress, read_progress
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.sql import RoleName


class ProgressSchema(ma.Schema):
    """How far a tier is."""

    type = ma.fields.String(required=True, metadata=describe("data type", example=TYPE))
    prefix = ma.fields.String(required=True, metadata=describe("of the tier's collection", example="today_"))
    resolution = ma.fields.String(required=True, metadata=describe("length of its buckets", example="1m"))
    watermark = time_field("windows that end by then are done; null: none is", null=True)
    behind_seconds = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("how much later it could be; null: it never ran")
    )
    left_alone = ma.fields.Integer(
        required=True, metadata=describe("buckets that could not be computed again: their source has expired")
    )
    ran_at = time_field("its last run, UTC", null=True)
    error = ma.fields.String(required=True, metadata=describe("of its last run; empty: it went well"))


class ProgressList(ma.Schema):
    """All tiers."""

    results = ma.fields.List(ma.fields.Nested(ProgressSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("rollups", __name__, url_prefix="/api/rollups", description="How far tiers are computed")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(503)
    @blueprint.response(200, ProgressList)
    def list_progress() -> Response:
        """List how far each tier is computed

        By data type, finest first.
        """
        watermarks, now = database()[WATERMARKS], datetime.now(UTC)
        with pymongo.timeout(SECONDS):
            rows = [
                _present(datatype, tier, read_progress(watermarks, datatype.name, tier.prefix), now)
                for datatype in get_context().registry
                for tier in datatype.tiers
            ]
        return answer({"results": rows})

    return blueprint


def _present(datatype: DataType, tier: Tier, progress: Progress, now: datetime) -> dict[str, Any]:
    behind = None
    if progress.watermark is not None:
        behind = max(0.0, (done_before(now, tier.window) - progress.watermark).total_seconds())
    return {
        "type": datatype.name,
        "prefix": tier.prefix,
        "resolution": tier.resolution,
        "watermark": progress.watermark,
        "behind_seconds": behind,
        "left_alone": progress.left_alone,
        "ran_at": progress.ran_at,
        "error": progress.error,
    }
