"""Bench of the archive: bytes of a reading in files, rate of writing, time to read one device's month.

A month of simulated meters, a frame of 40 values per minute each, as ingest stores them. Beside the bytes stands the
floor: the entropy of the differences between neighbouring values of a field, as whole numbers. Beside the rate of
writing stands reading the same month from MongoDB and doing nothing with it; beside the time to read, the same question
asked of MongoDB. `python -m tools.bench.archive` prints the rows.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from greenpower.archive.held import held_readings
from greenpower.archive.months import begin_of_month, end_of_month
from greenpower.archive.read import ArchiveView
from greenpower.archive.run import run_archive
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import Frame
from greenpower.mongo.archive.manifest import read_months
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST, ensure_indexes
from greenpower.simulator.device import frames, make_devices
from greenpower.stack import Mongod
from tools.bench.mix import ZONE
from tools.bench.size import VALUES, values_of

Document = dict[str, Any]
Row = dict[str, Any]
METERS = 2
SPACING = timedelta(minutes=1)
INSERT_ROWS = 1_000
READS = 9
MAX_BYTES, MAX_READ_MS, MAX_TO_ENTROPY = 45, 200, 1.25
DECIMALS = 6


def make_month(month: datetime, meters: int) -> list[Document]:
    """The readings of a month, in order of arrival."""
    datatype = get_registry()["rt"]
    every = make_devices(datatype, 8 * (len(datatype.wire.models) if datatype.wire else 1), 0, ZONE)
    chosen = [device for device in every if len(frames(device, month)) == 1 and values_of(device) == VALUES][:meters]
    found: list[Document] = []
    at = month
    while at < end_of_month(month):
        for number, meter in enumerate(chosen):
            sent = at + number * SPACING // (2 * meters)
            [(topic, payload)] = frames(meter, sent)
            [reading] = datatype.parse(Frame(topic=topic, payload=payload, received_at=sent))
            assert reading.stamp is not None
            received = sent + timedelta(milliseconds=200 + len(found) * 37 % 700)
            found.append(
                {
                    "_id": ObjectId(),
                    "device_id": reading.device_id,
                    "topic": topic,
                    "timestamp": reading.stamp.replace(tzinfo=reading.stamp.tzinfo or ZONE),
                    "received_at": received,
                    "updated_at": received + timedelta(milliseconds=20 + len(found) * 13 % 30),
                    "payload": dict(reading.values),
                    "complete": True,
                }
            )
        at += SPACING
    return found


def entropy_bytes(readings: list[Document]) -> float:
    """Bytes of a reading whose values' differences are coded by their own frequencies, field by field."""
    by_device: dict[str, list[Document]] = {}
    for reading in readings:
        by_device.setdefault(reading["device_id"], []).append(reading["payload"])
    bits = 0.0
    for name in {name for reading in readings for name in reading["payload"]}:
        for payloads in by_device.values():
            numbers = [round(payload[name] * 10**DECIMALS) for payload in payloads if name in payload]
            counts = Counter(after - before for before, after in pairwise(numbers))
            total = sum(counts.values())
            bits -= sum(count * math.log2(count / total) for count in counts.values())
    return bits / 8 / len(readings)


def milliseconds(work: Callable[[], int], expected: int) -> float:
    """The median of some runs."""
    times = []
    for _ in range(READS):
        began = time.perf_counter()
        assert work() == expected
        times.append((time.perf_counter() - began) * 1_000)
    return median(times)


def measure(home: Path, meters: int) -> list[Row]:
    """All rows, on a mongod of its own."""
    now = datetime.now(UTC)
    month = begin_of_month(begin_of_month(now) - timedelta(days=1))
    with Mongod(home / "mongod") as mongod, MongoClient[Document](mongod.uri, tz_aware=True) as client:
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            mongo_db_uri=mongod.uri,  # type: ignore[arg-type]
            greenpower_home=home,
            backlog_max_days=0,
            archive_after_days=7,
        )
        db, datatype = client["bench"], get_registry()["rt"]
        readings, later = db[datatype.collection], begin_of_month(now) + timedelta(days=20)
        ensure_indexes(db, (datatype,), settings)
        rows = make_month(month, meters)
        for first in range(0, len(rows), INSERT_ROWS):
            readings.insert_many(rows[first : first + INSERT_ROWS], ordered=False)
        client.admin.command("fsync")
        stats = db.command("collStats", datatype.collection)
        before = (stats["storageSize"] + stats["totalIndexSize"]) / len(rows)
        began = time.perf_counter()
        assert sum(1 for _ in held_readings(readings, month)) == len(rows)
        bare = time.perf_counter() - began
        began = time.perf_counter()
        assert run_archive(db, datatype, settings, now=later).archived == len(rows)
        seconds = time.perf_counter() - began
        files = [file for item in read_months(db[ARCHIVE_MANIFEST]) for file in item["files"]]
        size = sum(file["size"] for file in files) / len(rows)
        device, end = rows[0]["device_id"], end_of_month(month)
        span = {"$gte": month, "$lt": end}
        expected = sum(row["device_id"] == device and month <= row["timestamp"] < end for row in rows)
        query = {"device_id": device, "timestamp": span}
        shown = {"timestamp": 1, "device_id": 1, "payload.zyggl": 1}
        floors = [milliseconds(lambda: len(list(readings.find(query))), expected)]
        floors.append(milliseconds(lambda: len(list(readings.find(query, shown))), expected))
        began = time.perf_counter()
        run_archive(db, datatype, settings, now=later, clear_after=timedelta(0))
        cleared = time.perf_counter() - began
        view = ArchiveView(db, settings)
        fields = ["zyggl"]
        reads = [milliseconds(lambda: len(list(view.find(datatype, [device], month, end))), expected)]
        reads.append(
            milliseconds(lambda: len(list(view.find(datatype, [device], month, end, fields=fields))), expected)
        )
    entropy = entropy_bytes(rows)
    return [
        {"name": "a reading of 40 values in MongoDB, with indexes", "bytes": before},
        {"name": "the same in the archive", "bytes": size, "floor": entropy, "goal": MAX_BYTES},
        {"name": "archiving: written, read back, compared", "per_s": len(rows) / seconds, "floor": len(rows) / bare},
        {"name": "deleting from MongoDB what was archived", "per_s": len(rows) / cleared, "floor": len(rows) / bare},
        {"name": "a month of a device, all 40 fields", "ms": reads[0], "floor": floors[0], "goal": MAX_READ_MS},
        {"name": "the same, one field", "ms": reads[1], "floor": floors[1], "goal": MAX_READ_MS},
    ]


def run(quick: bool) -> list[Row]:
    """Rows of name and bytes, per_s or ms, with a floor; a goal is the most that it may be."""
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        return measure(Path(folder), METERS if quick else 4 * METERS)


if __name__ == "__main__":
    for row in run(quick=True):
        print(row)
