"""`consumption/`: energy by local hours, days, weeks, months and years, of each device and in total."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import pymongo
from flask import Response, abort

from greenpower.api.energy.calendar import DEFAULT_RANGES, SHORTEST_LENGTHS, boundaries
from greenpower.api.energy.consumption_report import make_report, moved_boundaries
from greenpower.api.energy.consumption_schema import ConsumptionQuery, ConsumptionSchema
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.errors import abort_query
from greenpower.api.http.fields import MAX_DEVICES
from greenpower.api.http.json import answer
from greenpower.api.telemetry.tier_views import tier_views_of
from greenpower.catalog.facts import counters
from greenpower.datatype import DataType
from greenpower.measure.spec import Spec
from greenpower.mongo.energy.consumption import read_energy
from greenpower.mongo.energy.interval_plan import PlanInterval, make_interval_plan
from greenpower.mongo.energy.registers import Registers
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.readings.latest import find_devices
from greenpower.mongo.rollups.incidents import read_decisions
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import RoleName, ServiceZone
from greenpower.sql.device import devices_of_zone
from greenpower.sql.extensions import db

MAX_BUCKETS = 1_000
# Of all devices together: this many documents and registers are read.
MAX_READS = 60_000
CONSUMPTION_SECONDS = 4 * QUERY_SECONDS
CONSUMPTION_DESCRIPTION = """The energy that a counter counted in calendar buckets of local time, correct across clock
changes, dips, resets and meter swaps. The register at a boundary is the last sample up to and including it. `moved`
lists the boundaries where it had to be read at another time: the device was silent, or only coarser tiers of that time
are left. Energies are whole millionths of the unit, so buckets and devices add up to the totals exactly. All buckets
that overlap the range are whole; without a range, the last ones are given."""


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
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"Energy by calendar buckets: {datatype.title}", description=CONSUMPTION_DESCRIPTION)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(query_of_type)
    @blueprint.response(200, ConsumptionSchema)
    def consumption(query: dict[str, Any]) -> Response:
        now = datetime.now(UTC)
        asked = _boundaries(query, now)
        devices = _devices(datatype, query)
        tier_views = tier_views_of(datatype)
        cells = make_interval_plan(tier_views, asked, now, SHORTEST_LENGTHS[query["bucket"]])
        _check_cost(cells, devices)
        with pymongo.timeout(CONSUMPTION_SECONDS):
            decisions = read_decisions(database()[INCIDENTS], datatype.name)
            registers = Registers(database(), Spec.from_datatype(datatype), query["field"], decisions, now)
            found = read_energy(registers, tier_views, cells, devices)
        report = make_report(found, asked, query["bucket"], query["tz"], now)
        moved = moved_boundaries(cells, found, timedelta(seconds=datatype.stale_after), now)
        return answer({"field": query["field"], "unit": units[query["field"]], **report, "moved": moved})


def _boundaries(query: dict[str, Any], now: datetime) -> list[datetime]:
    """The boundaries of the buckets. Aborts with 422 for too many, and at the ends of the calendar."""
    bucket, end = query["bucket"], query.get("end_time", now)
    try:
        start = query.get("start_time") or end - DEFAULT_RANGES[bucket]
        count = (end - start) / SHORTEST_LENGTHS[bucket]
        if count > MAX_BUCKETS:
            text = f"The range has about {count:.0f} buckets of a {bucket.value}; at most {MAX_BUCKETS} are allowed."
            abort_query("start_time", text)
        return boundaries(start, end, bucket, query["tz"])
    except OverflowError:
        abort_query("start_time", "The calendar ends there: give times between the years 1 and 9999.")


def _devices(datatype: DataType, query: dict[str, Any]) -> list[str]:
    """The requested devices; without any, all of the type. Aborts with 422 if they are too many, 404 for the zone."""
    devices = list(query["device_id"])
    if "zone_id" in query:
        zone = db.session.get(ServiceZone, query["zone_id"])
        in_zone = devices_of_zone(db.session(), query["zone_id"])
        db.session.rollback()
        if zone is None:
            abort(404, f"There is no service zone {query['zone_id']}.")
        devices = [device for device in devices if device in in_zone] if devices else in_zone
    elif not devices:
        # A device whose readings have expired may still be in the coarsest tier.
        collections = dict.fromkeys((datatype.collections[0], datatype.collections[-1]))
        devices = sorted({id for name in collections for id in find_devices(database()[name], MAX_DEVICES + 1)})
    if len(devices) > MAX_DEVICES:
        abort_query("device_id", f"There are more than {MAX_DEVICES} devices. Name the ones you need.")
    return devices


def _check_cost(cells: Sequence[PlanInterval], devices: Sequence[str]) -> None:
    """Abort with 422 if too much would be read."""
    reads = sum(len(cell.pieces) + sum(1 + len(boundary.pieces) for boundary in cell.boundaries) for cell in cells)
    if reads * len(devices) > MAX_READS:
        text = f"This needs {reads * len(devices)} reads; at most {MAX_READS} are allowed."
        abort_query("device_id", f"{text} Ask for fewer devices, a shorter range or longer buckets.")
