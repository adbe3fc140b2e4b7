"""What the rollup benchmarks share: a mongod with readings in it, and the plain `$group` + `$merge` as the floor."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import (
    ENERGY_DAYS,
    INCIDENTS,
    INTERVALS,
    INVALIDATIONS,
    WATERMARKS,
    ensure_indexes,
)
from greenpower.stack import Mongod

Row = dict[str, Any]
BATCH = 2_000


@contextmanager
def database(datatype: DataType) -> Iterator[tuple[Database[Document], Settings]]:
    """An empty database of a mongod of its own, with the type's collections, through the product's own client."""
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder, Mongod(Path(folder)) as mongod:
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            mongo_db_uri=mongod.uri,  # type: ignore[arg-type]
            mongo_db_name="bench",
        )
        with sync_client(settings) as client:
            ensure_indexes(client["bench"], (datatype,), settings)
            yield client["bench"], settings


def fill(db: Database[Document], datatype: DataType, readings: Iterable[tuple[str, datetime, Document]]) -> int:
    """Store readings without the benchmark's clock running. Returns how many."""
    with MongoClient[Document](*_address(db), w=1, journal=False) as client:
        raw = client[db.name][datatype.collection]
        batch: list[Document] = []
        count = 0
        for device, timestamp, payload in readings:
            batch.append(
                {
                    "device_id": device,
                    "topic": datatype.name,
                    "timestamp": timestamp,
                    "received_at": timestamp,
                    "updated_at": timestamp,
                    "payload": payload,
                    "complete": True,
                }
            )
            count += 1
            if len(batch) == BATCH:
                raw.insert_many(batch, ordered=False)
                batch = []
        if batch:
            raw.insert_many(batch, ordered=False)
    return count


def _address(db: Database[Document]) -> tuple[str, int]:
    address = db.client.address
    assert address is not None
    return address[0], int(address[1])


def merge_stage(collection: str) -> Document:
    """The floor's last stage."""
    return {"$merge": {"into": collection, "on": ["device_id", "timestamp"], "whenMatched": "replace"}}


def clear(db: Database[Document], datatype: DataType) -> None:
    """Take away what was computed."""
    for name in datatype.collections[1:]:
        db[name].delete_many({})
    for name in ("floor", WATERMARKS, INVALIDATIONS, INTERVALS, ENERGY_DAYS, INCIDENTS):
        db[name].delete_many({})


def take_turns(rounds: int, *work: Callable[[], float]) -> list[float]:
    """The median seconds of each, run in turns so that a busy moment does not favour one."""
    seconds: list[list[float]] = [[] for _ in work]
    for _ in range(rounds):
        for index, once in enumerate(work):
            seconds[index].append(once())
    return [median(part) for part in seconds]


def index_floor(db: Database[Document]) -> None:
    """The indexes that a tier has, of the floor."""
    db["floor"].create_index([("device_id", 1), ("timestamp", 1)], unique=True)
    for name in ("timestamp", "updated_at"):
        db["floor"].create_index(name)


def beside_floor(
    db: Database[Document],
    datatype: DataType,
    frames: int,
    rounds: int,
    *,
    job: Callable[[], object],
    floor: Callable[[], object],
) -> Row:
    """Frames/s of a job and of its floor, each from nothing, and their ratio."""
    index_floor(db)

    def once(work: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            clear(db, datatype)
            return timed(work)

        return run

    mine, bottom = take_turns(rounds, once(job), once(floor))
    return {"frames_per_s": frames / mine, "floor_per_s": frames / bottom, "ratio": bottom / mine}


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def after(begin: datetime, seconds: float) -> Callable[[], datetime]:
    """A clock that stands so long after a time."""
    return lambda: begin + timedelta(seconds=seconds)
