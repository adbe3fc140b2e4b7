"""rt raw → 1 m: a minute at one frame a second, against the bare `$group` + `$merge` of the same statistics, and the
bytes of its buckets."""

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
    """One pipeline with the accumulators of each kind; no look at what values are, nothing else.

    The seconds to the next reading come from a window over each device's readings, as long as a value may hold at most;
    the rule by the usual interval is left out.
    """
    kinds = {field.name: field.kind for field in datatype.fields}
    following: Document = {"$shift": {"output": "$timestamp", "by": 1}}
    minute: Document = {"$dateTrunc": {"date": "$timestamp", "unit": "minute"}}
    gap: Document = {"$divide": [{"$subtract": ["$following", "$timestamp"]}, 1_000]}
    # Of the last one in its minute nothing is between first and last.
    within: Document = {"$lt": ["$following", {"$dateAdd": {"startDate": "$minute", "unit": "minute", "amount": 1}}]}
    held: Document = {"$cond": [within, {"$min": [gap, datatype.stale_after]}, 0]}
    group: Document = {
        "_id": {"d": "$device_id", "t": "$minute"},
        "count": {"$sum": 1},
        "first": {"$min": "$timestamp"},
        "last": {"$max": "$timestamp"},
        "held": {"$sum": "$held"},
    }
    stats: Document = {}
    payload: Document = {}
    for name in names:
        value = f"$payload.{name}"
        group |= {f"{name}_n": {"$sum": {"$cond": [{"$isNumber": value}, 1, 0]}}}
        group |= {f"{name}_first": {"$first": value}, f"{name}_last": {"$last": value}}
        stats[name] = {part: f"${name}_{part}" for part in ("n", "first", "last")}
        if kinds[name] is Kind.ANGLE:
            sums: Document = {part: {f"${part}": {"$degreesToRadians": value}} for part in ("sin", "cos")}
        else:
            sums = {"sum": value}
            group |= {f"{name}_min": {"$min": value}, f"{name}_max": {"$max": value}}
            stats[name] |= {part: f"${name}_{part}" for part in ("min", "max")}
        for part, what in sums.items():
            group |= {f"{name}_{part}": {"$sum": what}, f"{name}_{part}_s": {"$sum": {"$multiply": [what, "$held"]}}}
            stats[name] |= {part: f"${name}_{part}", f"{part}_s": f"${name}_{part}_s"}
        if kinds[name] is Kind.ANGLE:
            payload[name] = {"$radiansToDegrees": {"$atan2": [f"${name}_sin_s", f"${name}_cos_s"]}}
        else:
            payload[name] = {"$divide": [f"${name}_sum_s", {"$max": ["$held", 1]}]}
    shown: Document = {"_id": 0, "device_id": "$_id.d", "timestamp": "$_id.t", "payload": payload, "stats": stats}
    shown |= {"coverage": {"count": "$count", "first": "$first", "last": "$last"}, "updated_at": "$$NOW"}
    span = {"timestamp": {"$gte": T0, "$lt": T0 + timedelta(seconds=SECONDS)}}
    window = {"partitionBy": "$device_id", "sortBy": {"timestamp": 1}, "output": {"following": following}}
    stages: list[Document] = [
        {"$match": span},
        {"$setWindowFields": window},
        {"$set": {"minute": minute}},
        {"$set": {"held": held}},
        {"$group": group},
        {"$project": shown},
        merge_stage("floor"),
    ]
    db[datatype.collection].aggregate(stages, allowDiskUse=True)


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
        run_tier(db, plan, settings, clock=after(T0, 180))
        size = db.command("collStats", datatype.tiers[0].prefix + datatype.collection)["avgObjSize"]
    row: dict[str, Any] = {"name": "rollup rt raw → 1 m", "frames": frames, "fields": len(names), "meters": meters}
    return [{**row, **figures, "bytes_per_bucket": size, "goal": GOAL}]


if __name__ == "__main__":
    print(run(quick=False))
