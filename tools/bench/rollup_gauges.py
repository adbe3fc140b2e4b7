"""rt raw → 1 m: a minute at one frame a second, against the bare `$group` + `$merge` of the same statistics."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType, Kind
from greenpower.mongo.client import Document
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from tools.bench.rollup_world import Row, after, beside_floor, database, fill, merge_stage

T0 = datetime(2026, 11, 20, 10, tzinfo=UTC)
FIELDS = 40
SECONDS = 60
GOAL = 0.85


def readings(names: list[str], meters: int) -> Iterator[tuple[str, datetime, Document]]:
    """Frames as meters send them, by time."""
    rng = random.Random(1)
    for second in range(SECONDS):
        for meter in range(meters):
            payload = {name: round(rng.uniform(0, 400), 3) for name in names}
            yield f"33B12{meter:08d}", T0 + timedelta(seconds=second), payload


def floor(db: Database[Document], datatype: DataType, names: list[str]) -> None:
    """One pipeline with the accumulators of each kind; no look at what values are, nothing else."""
    kinds = {field.name: field.kind for field in datatype.fields}
    group: Document = {
        "_id": {"d": "$device_id", "t": {"$dateTrunc": {"date": "$timestamp", "unit": "minute"}}},
        "count": {"$sum": 1},
        "first": {"$min": "$timestamp"},
        "last": {"$max": "$timestamp"},
    }
    stats: Document = {}
    payload: Document = {}
    for name in names:
        value = f"$payload.{name}"
        group[f"{name}_n"] = {"$sum": {"$cond": [{"$isNumber": value}, 1, 0]}}
        if kinds[name] is Kind.ANGLE:
            group[f"{name}_sin"] = {"$sum": {"$sin": {"$degreesToRadians": value}}}
            group[f"{name}_cos"] = {"$sum": {"$cos": {"$degreesToRadians": value}}}
            stats[name] = {"n": f"${name}_n", "sin": f"${name}_sin", "cos": f"${name}_cos"}
            payload[name] = {"$radiansToDegrees": {"$atan2": [f"${name}_sin", f"${name}_cos"]}}
        else:
            group |= {f"{name}_sum": {"$sum": value}, f"{name}_min": {"$min": value}, f"{name}_max": {"$max": value}}
            stats[name] = {"n": f"${name}_n", "sum": f"${name}_sum", "min": f"${name}_min", "max": f"${name}_max"}
            payload[name] = {"$divide": [f"${name}_sum", f"${name}_n"]}
    shown: Document = {"_id": 0, "device_id": "$_id.d", "timestamp": "$_id.t", "payload": payload, "stats": stats}
    shown |= {"coverage": {"count": "$count", "first": "$first", "last": "$last"}, "updated_at": "$$NOW"}
    span = {"timestamp": {"$gte": T0, "$lt": T0 + timedelta(seconds=SECONDS)}}
    db[datatype.collection].aggregate([{"$match": span}, {"$group": group}, {"$project": shown}, merge_stage("floor")])


def run(quick: bool) -> list[Row]:
    """One row: frames/s of the job and of the floor, and their ratio."""
    datatype = get_registry()["rt"]
    names = [field.name for field in datatype.fields][:FIELDS]
    meters, rounds = (200, 3) if quick else (1_000, 5)
    with database(datatype) as (db, settings):
        frames = fill(db, datatype, readings(names, meters))
        plan = make_plans(datatype, settings)[0]

        figures = beside_floor(
            db,
            datatype,
            frames,
            rounds,
            job=lambda: run_tier(db, plan, settings, clock=after(T0, 180)),
            floor=lambda: floor(db, datatype, names),
        )
    row: dict[str, Any] = {"name": "rollup rt raw → 1 m", "frames": frames, "fields": len(names), "meters": meters}
    return [{**row, **figures, "goal": GOAL}]


if __name__ == "__main__":
    print(run(quick=False))
