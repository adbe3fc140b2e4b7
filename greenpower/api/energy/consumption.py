"""`consumption/`: energy by hours, days, weeks, months and years of a place, of each device and of all together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import marshmallow as ma
import pymongo
from flask import Response, abort

from greenpower.api.energy.calendar import SHORTEST, USUAL, boundaries, label
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
from greenpower.mongo.client import Document
from greenpower.mongo.energy.consumption import UNIT, Reading, Registered, read_energy
from greenpower.mongo.energy.interval_plan import PlanCell, make_interval_plan
from greenpower.mongo.energy.registers import Registers
from greenpower.mongo.query import SECONDS
from greenpower.mongo.readings.latest import find_devices
from greenpower.mongo.rollups.incidents import read_decisions
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import RoleName, ServiceZone
from greenpower.sql.device import devices_of_zone
from greenpower.sql.extensions import db

MOST_STRETCHES = 1_000
# Of all devices together: this much is read for them.
MOST_READ = 60_000
WHOLE = 4 * SECONDS
TEXT = """What a counter counted in stretches of local time, across changes of clocks, dips, resets and exchanges of the
meter. The register at a boundary is the last sample up to it, itself included. `moved` names the boundaries where it
had to be read elsewhere: the device was silent, or only coarser tiers of that time are left. Energies are whole
millionths of the unit, so that stretches and devices add up to the totals exactly. All stretches that overlap the range
are whole; without a range the last ones."""


def add_consumption(blueprint: Blueprint, datatype: DataType) -> None:
    """Energy of a type that has counters."""
    names = counters(datatype)
    if not names:
        return
    units = {field.name: field.unit for field in datatype.fields}
    field = ma.fields.String(
        load_default=names[0], validate=ma.validate.OneOf(names), metadata=describe(f"the counter; default {names[0]}")
    )
    query_of_type = type("ConsumptionQuery", (ConsumptionQuery,), {"field": field})

    @blueprint.route("/consumption/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary=f"Energy by stretches of local time: {datatype.title}", description=TEXT)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(query_of_type)
    @blueprint.response(200, ConsumptionSchema)
    def consumption(query: dict[str, Any]) -> Response:
        now = datetime.now(UTC)
        asked = _boundaries(query, now)
        devices = _devices(datatype, query)
        tier_views = tier_views_of(datatype)
        cells = make_interval_plan(tier_views, asked, now, SHORTEST[query["bucket"]])
        _bound(cells, devices)
        with pymongo.timeout(WHOLE):
            decisions = read_decisions(database()[INCIDENTS], datatype.name)
            registers = Registers(database(), Spec.of(datatype), query["field"], decisions, now)
            found = read_energy(registers, tier_views, cells, devices)
        report = _report(query, asked, found, now)
        moved = _moved(cells, found, timedelta(seconds=datatype.stale_after), now)
        return answer({"field": query["field"], "unit": units[query["field"]], **report, "moved": moved})


def _boundaries(query: dict[str, Any], now: datetime) -> list[datetime]:
    bucket = query["bucket"]
    end = query.get("end_time", now)
    try:
        start = query.get("start_time") or end - USUAL[bucket]
        if (end - start) / SHORTEST[bucket] > MOST_STRETCHES:
            abort_query(
                "start_time", f"These are more than {MOST_STRETCHES} stretches. Ask for longer ones, or for fewer."
            )
        return boundaries(start, end, bucket, query["tz"])
    except OverflowError:
        abort_query("start_time", "The calendar ends there.")


def _devices(datatype: DataType, query: dict[str, Any]) -> list[str]:
    """The devices that are asked for; of a type all that there are, if they are few enough."""
    devices = list(query["device_id"])
    if "zone_id" in query:
        known = db.session.get(ServiceZone, query["zone_id"])
        zone = devices_of_zone(db.session(), query["zone_id"])
        db.session.rollback()
        if known is None:
            abort(404, "There is no such zone.")
        devices = [device for device in devices if device in zone] if devices else zone
    elif not devices:
        # A device whose readings have expired is in the coarsest tier still.
        ends = dict.fromkeys((datatype.collections[0], datatype.collections[-1]))
        devices = sorted({name for end in ends for name in find_devices(database()[end], MAX_DEVICES + 1)})
    if len(devices) > MAX_DEVICES:
        abort_query("device_id", f"These are more than {MAX_DEVICES} devices. Name those that you ask for.")
    return devices


def _bound(cells: Sequence[PlanCell], devices: Sequence[str]) -> None:
    read = sum(len(cell.pieces) + sum(1 + len(boundary.pieces) for boundary in cell.boundaries) for cell in cells)
    if read * len(devices) > MOST_READ:
        abort_query(
            "device_id", "This reads too much at once. Ask for fewer devices, a shorter range, or longer stretches."
        )


def _energy(before: Reading | None, after: Reading | None) -> tuple[int, int]:
    """What was counted between two boundaries, in millionths, and by how many samples."""
    if after is None:
        return 0, 0
    if before is None:
        return after.counted, after.samples
    return after.counted - before.counted, after.samples - before.samples


def _report(
    query: dict[str, Any], asked: Sequence[datetime], found: dict[str, Registered], now: datetime
) -> dict[str, Any]:
    zone, unit = query["tz"], query["bucket"]
    stretches = list(pairwise(asked))
    names = [label(start, unit, zone) for start, _ in stretches]
    devices, sums = [], [[0, 0, 1] for _ in stretches]
    for device, registered in found.items():
        rows, total = [], 0
        for number, (start, end) in enumerate(stretches):
            before, after = registered.readings[number : number + 2]
            counted, samples = _energy(before, after)
            final = end <= now and (registered.open_from is None or end <= registered.open_from)
            rows.append(
                {
                    "bucket": names[number],
                    "energy": counted / UNIT if samples else None,
                    "samples": samples,
                    "coverage": _coverage(before, after, start, min(end, now), samples),
                    "first": _register(before),
                    "last": _register(after),
                    "final": final,
                }
            )
            total += counted
            sums[number][0] += counted
            sums[number][1] += samples
            sums[number][2] &= final
        devices.append({"device_id": device, "total": total / UNIT, "results": rows})
    results = [
        {
            "bucket": name,
            "start": start.astimezone(zone).isoformat(),
            "end": end.astimezone(zone).isoformat(),
            "energy": counted / UNIT if samples else None,
            "samples": samples,
            "final": bool(final) and end <= now,
        }
        for name, (start, end), (counted, samples, final) in zip(names, stretches, sums, strict=True)
    ]
    whole = sum(counted for counted, _, _ in sums)
    return {"bucket": unit.value, "tz": zone.key, "total": whole / UNIT, "results": results, "devices": devices}


def _register(reading: Reading | None) -> Document | None:
    return None if reading is None else {"at": reading.at, "value": reading.value}


def _coverage(before: Reading | None, after: Reading | None, start: datetime, end: datetime, samples: int) -> float:
    """The part of a stretch, as far as it has passed, that lies between registers that were read."""
    if after is None or not samples or end <= start:
        return 0.0
    since = start if before is not None else max(start, min(end, after.at))
    return round(max(timedelta(), min(end, after.at) - since) / (end - start), 4)


def _moved(
    cells: Sequence[PlanCell], found: dict[str, Registered], tolerance: timedelta, now: datetime
) -> list[Document]:
    boundaries = [boundary for cell in cells for boundary in cell.boundaries]
    moved: list[Document] = [
        {"boundary": boundary.asked, "to": boundary.at, "device_id": None, "resolution": boundary.source or None}
        for boundary in boundaries
        if boundary.at is None or boundary.source
    ]
    for device, registered in found.items():
        for boundary, reading in zip(boundaries, registered.readings, strict=True):
            if (
                boundary.asked <= now
                and boundary.at is not None
                and reading is not None
                and boundary.at - reading.at > tolerance
            ):
                moved.append({"boundary": boundary.asked, "to": reading.at, "device_id": device, "resolution": None})
    return moved
