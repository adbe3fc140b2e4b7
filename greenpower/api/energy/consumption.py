"""`consumption/`: energy by local hours, days, weeks, months and years, of each device and in total."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import pymongo
from flask import Response, current_app

from greenpower.api.energy.consumption_cost import (
    MAX_RECENT_READINGS,
    check_buckets,
    check_documents,
    check_readings,
    check_rows,
)
from greenpower.api.energy.consumption_report import EnergyReport
from greenpower.api.energy.consumption_schema import ConsumptionQuery, ConsumptionSchema
from greenpower.api.energy.moved_boundaries import moved_boundaries, nearest_quarter
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_query
from greenpower.api.http.fields import MAX_DEVICES
from greenpower.api.http.json import answer
from greenpower.api.http.turns import turn
from greenpower.catalog.facts import counters
from greenpower.datatype import DataType
from greenpower.energy.calendar import DEFAULT_RANGES, SHORTEST_LENGTHS, boundaries
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.sql import RoleName
from greenpower.sql.device import devices_of_zone
from greenpower.sql.extensions import db

# From when its turn has come.
CONSUMPTION_SECONDS = 8 * QUERY_SECONDS
CONSUMPTION_DESCRIPTION = """The energy that a counter counted in calendar buckets of local time, correct across clock
changes, dips, resets and meter swaps. What was counted between two samples falls into the bucket of the later one, so a
bucket has the same energy wherever the range begins. `silence_s` says how much of it may belong to buckets before.
`moved` lists the boundaries where the register had to be read at another time: the device was silent, or only coarser
tiers of that time are left. Energies are whole millionths of the unit, so buckets and devices add up to the totals
exactly. All buckets that overlap the range are whole; without a range, the last ones are given. A question that is too
large is answered with 422, which says what to ask instead."""


def add_consumption(blueprint: Blueprint, datatype: DataType) -> None:
    """Add the energy of a type that has counters."""
    names = counters(datatype)
    if not names:
        return
    units = {field.name: field.unit for field in datatype.fields}
    field = ma.fields.String(
        load_default=names[0], validate=ma.validate.OneOf(names), metadata=describe(f"counter; default {names[0]}")
    )
    query_of_type = type("ConsumptionQuery", (ConsumptionQuery,), {"field": field})

    @blueprint.route("/consumption/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary=f"Energy by calendar buckets: {datatype.title}", description=CONSUMPTION_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(query_of_type)
    @blueprint.response(200, ConsumptionSchema)
    def consumption(query: dict[str, Any]) -> Response:
        report = find_consumption(datatype, query)
        return answer({"field": query["field"], "unit": units[query["field"]], **report})


def find_consumption(datatype: DataType, query: dict[str, Any]) -> dict[str, Any]:
    """The answer to a loaded ConsumptionQuery with a `field`. Aborts with 404 and 422. Raises PyMongoError."""
    now = datetime.now(UTC)
    return _answer(datatype, query, *_boundaries(query, now), now)


def _answer(
    datatype: DataType, query: dict[str, Any], asked: Sequence[datetime], quarters: Sequence[datetime], now: datetime
) -> dict[str, Any]:
    """The report on the buckets between some boundaries. Aborts with 422 for what costs too much."""
    with pymongo.timeout(CONSUMPTION_SECONDS):
        reader = EnergyReader.open(database(), datatype, get_context().settings, query["field"], now)
        devices = _devices(datatype, query, reader, asked)
        check_rows(len(asked) - 1, len(devices))
        documents = reader.count_documents(devices, quarters)
        check_documents(documents, len(devices))
        readings = reader.count_readings(devices, quarters, MAX_RECENT_READINGS + 1)
        check_readings(readings, reader.watermark)
    with (
        turn(current_app, documents + readings + (len(asked) - 1) * len(devices)),
        pymongo.timeout(CONSUMPTION_SECONDS),
    ):
        # What is pending is read first: what is computed again in between is not called final by mistake.
        pending = reader.read_pending(devices, quarters)
        found = reader.read(devices, quarters)
        report = EnergyReport(
            found=found,
            boundaries=asked,
            unit=query["bucket"],
            zone=query["tz"],
            now=now,
            pending=pending,
            falls=reader.read_open_falls(devices, asked[-1]),
        )
        moved = moved_boundaries(found, asked, reader.known_from, timedelta(seconds=datatype.stale_after), now)
        return {**report.make(), "moved": moved}


def _boundaries(query: dict[str, Any], now: datetime) -> tuple[list[datetime], list[datetime]]:
    """The boundaries of the buckets, and the quarter-hours that are used for them. Aborts with 422 for too many, and at
    the ends of the calendar."""
    bucket, end = query["bucket"], query.get("end_time", now)
    try:
        start = query.get("start_time") or end - DEFAULT_RANGES[bucket]
        check_buckets((end - start) / SHORTEST_LENGTHS[bucket], bucket.value)
        asked = boundaries(start, end, bucket, query["tz"])
        return asked, [nearest_quarter(boundary) for boundary in asked]
    except OverflowError:
        abort_query("start_time", "The calendar ends there: give times between the years 1 and 9999.")


def _devices(datatype: DataType, query: dict[str, Any], reader: EnergyReader, asked: Sequence[datetime]) -> list[str]:
    """The requested devices; without any, all of the type. Aborts with 422 if they are too many."""
    devices = list(query["device_id"])
    if "zone_id" in query:
        in_zone = devices_of_zone(db.session(), query["zone_id"])
        db.session.rollback()
        devices = [device for device in devices if device in in_zone] if devices else in_zone
    elif not devices:
        devices = reader.find_devices(asked[0], asked[-1], MAX_DEVICES + 1)
    if len(devices) > MAX_DEVICES:
        abort_query("device_id", f"There are more than {MAX_DEVICES} devices. Name the ones you need.")
    return devices
