"""The whole cascade of rt, all five tiers: a day at one frame a minute, and what a frame costs as meters get more."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from tests.rollups.world import run_all
from tools.bench.rollup_world import Row, after, database, fill, timed

T0 = datetime(2026, 11, 20, tzinfo=UTC)
DAY_MINUTES = 1_440
FIELDS = 40
GROWTH_MINUTES = 12


def readings(datatype: DataType, meters: int, minutes: int) -> Iterator[tuple[str, datetime, Document]]:
    """A frame of every meter a minute, by time."""
    rng = random.Random(1)
    names = [field.name for field in datatype.fields][:FIELDS]
    for minute in range(minutes):
        payload = {name: round(rng.uniform(0, 400), 3) for name in names}
        for meter in range(meters):
            yield f"33B12{meter:08d}", T0 + timedelta(minutes=minute), {**payload, names[0]: meter / 7}


def cascade(meters: int, minutes: int) -> tuple[int, float]:
    """Frames, and the seconds that all five tiers take from nothing."""
    datatype = get_registry()["rt"]
    with database(datatype) as (db, settings):
        settings = settings.model_copy(update={"mongo_today_ttl_seconds": 0})
        frames = fill(db, datatype, readings(datatype, meters, minutes))
        clock = after(T0, minutes * 60 + 180)
        return frames, timed(lambda: run_all(db, (datatype,), settings, clock=clock))


def run(quick: bool) -> list[Row]:
    """A row for the day's cascade, and one for each number of meters: microseconds a frame."""
    meters, minutes = (100, 120) if quick else (1_000, DAY_MINUTES)
    frames, seconds = cascade(meters, minutes)
    name = f"rollup cascade, {meters} meters, {minutes // 60} h at one frame a minute"
    rows: list[Row] = [{"name": name, "frames": frames, "seconds": seconds, "frames_per_s": frames / seconds}]
    for count in (100, 1_000) if quick else (100, 1_000, 10_000):
        frames, seconds = cascade(count, GROWTH_MINUTES)
        name = f"rollup cost a frame, {count} meters"
        rows.append({"name": name, "frames": frames, "us_per_frame": seconds / frames * 1e6})
    return rows


if __name__ == "__main__":
    print(run(quick=False))
