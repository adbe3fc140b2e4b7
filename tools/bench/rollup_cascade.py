"""The whole cascade of rt, all five tiers, of meters that each walk by themselves.

All at once, as after a downtime, beside ingest of the same frames and beside MongoDB's own `$group` and `$merge`; a
minute at a time, as it runs live; the bytes of a bucket of each tier beside those of a reading; and what a frame costs
as meters get more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from greenpower.stack import Mongod, Mosquitto
from tests.rollups.world import run_all
from tools.bench.frames import FIELDS, TOPIC
from tools.bench.ingest import Bench
from tools.bench.rollup_world import Row, after, beside_floor, clear, database, fill, merge_stage, timed
from tools.bench.walks import frame, walks

METERS = 1_000
MINUTE, FIVE_SECONDS = timedelta(minutes=1), timedelta(seconds=5)
GROWTH_ROUNDS = 12
LIVE_MINUTES = 10
# The least rate of the cascade, to ingest of the same frames and to MongoDB's own.
TO_INGEST = {MINUTE: 0.7, FIVE_SECONDS: 2.0}
TO_MONGODB = 1.0
# The most that a bucket of the first tier may take on disk, in readings.
READINGS_PER_BUCKET = {MINUTE: 1.2, FIVE_SECONDS: 3.0}


def begin_of(spacing: timedelta, rounds: int) -> datetime:
    """A whole hour so long ago that all frames are in the past, and none too old for ingest."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - spacing * rounds - timedelta(hours=1)


def ingest_rate(begin: datetime, spacing: timedelta, rounds: int) -> float:
    """Frames a second of `greenpower ingest --mqtt` with the same frames."""
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder,
        Mongod(Path(folder) / "mongod") as mongod,
        Mosquitto(Path(folder) / "mosquitto") as mosquitto,
    ):
        packets = [(TOPIC, frame(*walked)) for walked in walks(METERS, begin, spacing, rounds)]
        return Bench(Path(folder), mongod, mosquitto).drain(packets, {get_registry()["rt"].collection: len(packets)})


def mongodb_chain(db: Database[Document], datatype: DataType) -> None:
    """The same tiers by MongoDB alone: n, sum, least, greatest and mean of each field, each tier from the one before.

    No rules, no means over time, no look at what the values are.
    """
    source = datatype.collection
    for tier in datatype.tiers:
        assert tier.window is not None
        raw = source == datatype.collection
        width = {"date": "$timestamp", "unit": "minute", "binSize": tier.window // 60}
        group: Document = {"_id": {"d": "$device_id", "t": {"$dateTrunc": width}}}
        stats: Document = {}
        payload: Document = {}
        for name in FIELDS:
            state = {part: f"$payload.{name}" if raw else f"$stats.{name}.{part}" for part in ("sum", "min", "max")}
            group[f"{name}_n"] = {"$sum": 1 if raw else f"$stats.{name}.n"}
            group |= {f"{name}_{part}": {f"${part}": value} for part, value in state.items()}
            stats[name] = {part: f"${name}_{part}" for part in ("n", "sum", "min", "max")}
            payload[name] = {"$divide": [f"${name}_sum", f"${name}_n"]}
        shown = {"_id": 0, "device_id": "$_id.d", "timestamp": "$_id.t", "payload": payload, "stats": stats}
        target = f"floor_{tier.prefix}"
        stages = [{"$group": group}, {"$project": {**shown, "updated_at": "$$NOW"}}, merge_stage(target)]
        db[source].aggregate(stages, allowDiskUse=True)
        source = target


def index_floor(db: Database[Document], datatype: DataType) -> None:
    """The collections of the floor, empty, with the indexes of a tier."""
    for tier in datatype.tiers:
        floor = db[f"floor_{tier.prefix}"]
        floor.drop()
        floor.create_index([("device_id", 1), ("timestamp", 1)], unique=True)
        for name in ("timestamp", "updated_at"):
            floor.create_index(name)


def kept(settings: Settings) -> Settings:
    """Settings with which nothing expires while it is measured."""
    return settings.model_copy(update={"mongo_today_ttl_seconds": 0})


def beside_floors(spacing: timedelta, rounds: int, turns: int) -> list[Row]:
    """The cascade of so many frames of each meter at once: to ingest, to MongoDB's own, and its bytes."""
    datatype = get_registry()["rt"]
    begin = begin_of(spacing, rounds)
    name = f"rollup cascade, {METERS} meters, a frame per {spacing.total_seconds():.0f} s"
    ingest = ingest_rate(begin, spacing, rounds)
    with database(datatype) as (db, settings):
        settings = kept(settings)
        frames = fill(db, datatype, walks(METERS, begin, spacing, rounds))
        clock = after(begin, (spacing * rounds).total_seconds() + 180)

        def floor() -> None:
            index_floor(db, datatype)
            mongodb_chain(db, datatype)

        figures = beside_floor(
            db, datatype, frames, turns, job=lambda: run_all(db, (datatype,), settings, clock=clock), floor=floor
        )
        clear(db, datatype)
        run_all(db, (datatype,), settings, clock=clock)
        sizes = bytes_of(db, datatype.collections)
    rate = figures["frames_per_s"]
    known = {"frames": frames, "frames_per_s": rate}
    return [
        {"name": f"{name}, to ingest of the same", **known, "ratio": rate / ingest, "goal": TO_INGEST[spacing]},
        {"name": f"{name}, to $group and $merge", **known, "ratio": figures["ratio"], "goal": TO_MONGODB},
        *size_rows(datatype, sizes, spacing),
    ]


def bytes_of(db: Database[Document], names: Iterable[str]) -> dict[str, float]:
    """By collection, the bytes that a document takes on disk with its indexes, after a checkpoint."""
    db.client.admin.command("fsync")
    found = {name: db.command("collStats", name) for name in names}
    return {name: (row["storageSize"] + row["totalIndexSize"]) / row["count"] for name, row in found.items()}


def size_rows(datatype: DataType, sizes: dict[str, float], spacing: timedelta) -> list[Row]:
    """A row for each tier; the goal, in bytes, is that of the first."""
    reading, *buckets = (sizes[name] for name in datatype.collections)
    of = f"a frame per {spacing.total_seconds():.0f} s"
    rows: list[Row] = [{"name": f"bytes of a reading, {of}", "bytes": reading}]
    for number, (tier, size) in enumerate(zip(datatype.tiers, buckets, strict=True)):
        goal = {} if number else {"goal": round(READINGS_PER_BUCKET[spacing] * reading)}
        rows.append({"name": f"bytes of a bucket of {tier.prefix}, {of}", "bytes": size, **goal})
    return rows


def live() -> Row:
    """A minute at a time, each tier as often as it is scheduled; nothing was ever computed before."""
    datatype = get_registry()["rt"]
    begin = begin_of(MINUTE, LIVE_MINUTES)
    with database(datatype) as (db, settings):
        settings = kept(settings)
        frames, seconds = 0, 0.0
        every = list(walks(METERS, begin, MINUTE, LIVE_MINUTES))
        for minute in range(LIVE_MINUTES):
            frames += fill(db, datatype, every[minute * METERS : (minute + 1) * METERS])
            clock = after(begin, (minute + 1) * 60 + 5)
            for plan in make_plans(datatype, settings):
                if (minute + 1) % plan.every_minutes == 0:
                    seconds += timed(partial(run_tier, db, plan, settings, clock=clock))
    name = f"rollup cascade, {METERS} meters, a frame per 60 s, a minute at a time"
    return {"name": name, "frames": frames, "frames_per_s": frames / seconds}


def cost(meters: int) -> Row:
    """Microseconds a frame of so many meters, a frame a minute, all at once."""
    datatype = get_registry()["rt"]
    begin = begin_of(MINUTE, GROWTH_ROUNDS)
    with database(datatype) as (db, settings):
        settings = kept(settings)
        frames = fill(db, datatype, walks(meters, begin, MINUTE, GROWTH_ROUNDS))
        clock = after(begin, GROWTH_ROUNDS * 60 + 180)
        seconds = timed(lambda: run_all(db, (datatype,), settings, clock=clock))
    return {"name": f"rollup cost a frame, {meters} meters", "frames": frames, "us_per_frame": seconds / frames * 1e6}


def run(quick: bool) -> list[Row]:
    """Rows of the cascade at a frame per minute and per 5 s, live, of bytes, and of the cost a frame."""
    turns = 1 if quick else 3
    return [
        *beside_floors(MINUTE, 30 if quick else 120, turns),
        *beside_floors(FIVE_SECONDS, 36 if quick else 120, turns),
        live(),
        *(cost(meters) for meters in ((100, 1_000) if quick else (100, 1_000, 10_000))),
    ]


if __name__ == "__main__":
    for row in run(quick=True):
        print(row)
