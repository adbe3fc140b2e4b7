"""eny_now raw → 30 m: meters with 20 counters, against a plain first and last by `$group` + `$merge`, without any
rules."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType, Kind
from greenpower.mongo.client import Document
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from tools.bench.rollup_world import Row, after, beside_floor, database, fill, merge_stage

T0 = datetime(2026, 11, 20, 10, tzinfo=UTC)
SAMPLES = 60
COUNTERS = 20
GOAL = 0.5


def readings(names: list[str], meters: int) -> Iterator[tuple[str, datetime, Document]]:
    """Registers that rise, a frame a minute, by time."""
    rng = random.Random(1)
    registers = [[round(rng.uniform(0, 90_000), 3) for _ in names] for _ in range(meters)]
    for minute in range(SAMPLES):
        for meter, values in enumerate(registers):
            values[:] = [round(value + rng.uniform(0, 0.9), 3) for value in values]
            yield f"33B12{meter:08d}", T0 + timedelta(minutes=minute), dict(zip(names, values, strict=True))


def floor(db: Database[Document], datatype: DataType, names: list[str]) -> None:
    """First and last of each register in each window."""
    group: Document = {
        "_id": {"d": "$device_id", "t": {"$dateTrunc": {"date": "$timestamp", "unit": "minute", "binSize": 30}}}
    }
    for name in names:
        group |= {f"{name}_first": {"$first": f"$payload.{name}"}, f"{name}_last": {"$last": f"$payload.{name}"}}
    stats = {name: {"first": f"${name}_first", "last": f"${name}_last"} for name in names}
    shown = {"_id": 0, "device_id": "$_id.d", "timestamp": "$_id.t", "stats": stats, "updated_at": "$$NOW"}
    span = {"timestamp": {"$gte": T0, "$lt": T0 + timedelta(minutes=SAMPLES)}}
    db[datatype.collection].aggregate(
        [{"$match": span}, {"$sort": {"timestamp": 1}}, {"$group": group}, {"$project": shown}, merge_stage("floor")]
    )


def run(quick: bool) -> list[Row]:
    """One row: frames/s of the job and of the floor, and their ratio."""
    datatype = get_registry()["eny_now"]
    names = [field.name for field in datatype.fields if field.kind is Kind.COUNTER][:COUNTERS]
    meters, rounds = (200, 3) if quick else (1_000, 5)
    with database(datatype) as (db, settings):
        frames = fill(db, datatype, readings(names, meters))
        plan = make_plans(datatype, settings)[2]

        figures = beside_floor(
            db,
            datatype,
            frames,
            rounds,
            job=lambda: run_tier(db, plan, settings, clock=after(T0, SAMPLES * 60 + 180)),
            floor=lambda: floor(db, datatype, names),
        )
    row: Row = {"name": "rollup eny_now raw → 30 m", "frames": frames, "counters": len(names), "meters": meters}
    return [{**row, **figures, "goal": GOAL}]


if __name__ == "__main__":
    print(run(quick=False))
