"""eny_now raw → 30 m and the interval ledger: meters with 20 counters, against a plain first and last by `$group` +
`$merge`, without any rules and without a ledger.

A day at once, as after a downtime, and half an hour at a time, as it runs live: the readings come as time goes on, and
each document of the ledger is written again every half hour.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Kind
from greenpower.mongo.client import Document
from greenpower.rollups.plan import TierPlan, make_plans
from greenpower.rollups.run import run_tier
from tools.bench.rollup_world import Row, after, beside_floor, database, fill, index_floor, merge_stage, timed

T0 = datetime(2026, 11, 20, tzinfo=UTC)
DAY_MINUTES = 1_440
HALF_HOUR_MINUTES = 30
LIVE_STEPS = 6
AHEAD_MINUTES = 2
COUNTERS = 20
GOAL = 0.5


def readings(names: list[str], meters: int, minutes: int) -> Iterator[tuple[str, datetime, Document]]:
    """Registers that rise, a frame a minute, by time."""
    rng = random.Random(1)
    registers = [[round(rng.uniform(0, 90_000), 3) for _ in names] for _ in range(meters)]
    for minute in range(minutes):
        for meter, values in enumerate(registers):
            values[:] = [round(value + rng.uniform(0, 0.9), 3) for value in values]
            yield f"33B12{meter:08d}", T0 + timedelta(minutes=minute), dict(zip(names, values, strict=True))


def floor(db: Database[Document], datatype: DataType, names: list[str], begin: int, end: int) -> None:
    """First and last of each register in each window between two minutes."""
    group: Document = {
        "_id": {"d": "$device_id", "t": {"$dateTrunc": {"date": "$timestamp", "unit": "minute", "binSize": 30}}}
    }
    for name in names:
        group |= {f"{name}_first": {"$first": f"$payload.{name}"}, f"{name}_last": {"$last": f"$payload.{name}"}}
    stats = {name: {"first": f"${name}_first", "last": f"${name}_last"} for name in names}
    shown = {"_id": 0, "device_id": "$_id.d", "timestamp": "$_id.t", "stats": stats, "updated_at": "$$NOW"}
    span = {"$gte": T0 + timedelta(minutes=begin), "$lt": T0 + timedelta(minutes=end)}
    stages: list[Document] = [{"$match": {"timestamp": span}}, {"$sort": {"timestamp": 1}}, {"$group": group}]
    db[datatype.collection].aggregate([*stages, {"$project": shown}, merge_stage("floor")], allowDiskUse=True)


def job(db: Database[Document], plan: TierPlan, settings: Settings, end: int) -> None:
    """The tier and the ledger up to a minute, run a minute and a half later."""
    run_tier(db, plan, settings, clock=after(T0, end * 60 + 90))


def run(quick: bool) -> list[Row]:
    """A row for a day at once and one for half an hour at a time: frames/s of the job and of the floor, their ratio."""
    datatype = get_registry()["eny_now"]
    names = [field.name for field in datatype.fields if field.kind is Kind.COUNTER][:COUNTERS]
    day, live = (20, 100) if quick else (200, 1_000)
    return [at_once(datatype, names, day, 3), as_it_comes(datatype, names, live)]


def at_once(datatype: DataType, names: list[str], meters: int, rounds: int) -> Row:
    """A day of all readings, which are there from the begin."""
    with database(datatype) as (db, settings):
        frames = fill(db, datatype, readings(names, meters, DAY_MINUTES))
        plan = make_plans(datatype, settings)[2]
        figures = beside_floor(
            db,
            datatype,
            frames,
            rounds,
            job=lambda: job(db, plan, settings, DAY_MINUTES),
            floor=lambda: floor(db, datatype, names, 0, DAY_MINUTES),
        )
    return {**describe("a day at once", frames, meters, names), **figures, "goal": GOAL}


def as_it_comes(datatype: DataType, names: list[str], meters: int) -> Row:
    """Half an hour after the other, each with the readings that are there then, a minute and a half of the next among
    them. The first two are not counted: nothing is before them."""
    seconds: list[tuple[float, float]] = []
    coming = readings(names, meters, LIVE_STEPS * HALF_HOUR_MINUTES + AHEAD_MINUTES)
    with database(datatype) as (db, settings):
        index_floor(db)
        plan = make_plans(datatype, settings)[2]
        there = 0
        for end in range(HALF_HOUR_MINUTES, (LIVE_STEPS + 1) * HALF_HOUR_MINUTES, HALF_HOUR_MINUTES):
            fill(db, datatype, islice(coming, (end + AHEAD_MINUTES - there) * meters))
            there = end + AHEAD_MINUTES
            mine = timed(partial(job, db, plan, settings, end))
            seconds.append((mine, timed(partial(floor, db, datatype, names, end - HALF_HOUR_MINUTES, end))))
    counted = seconds[2:]
    mine, bottom = (sum(part) for part in zip(*counted, strict=True))
    frames = len(counted) * HALF_HOUR_MINUTES * meters
    figures = {"frames_per_s": frames / mine, "floor_per_s": frames / bottom, "ratio": bottom / mine}
    return {**describe("half an hour at a time", frames, meters, names), **figures, "goal": GOAL}


def describe(what: str, frames: int, meters: int, names: list[str]) -> Row:
    """What a row is of."""
    name = f"rollup eny_now raw → 30 m and ledger, {what}"
    return {"name": name, "frames": frames, "meters": meters, "counters": len(names)}


if __name__ == "__main__":
    print(*run(quick=False), sep="\n")
