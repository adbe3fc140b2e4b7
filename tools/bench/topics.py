"""Bench of values that come one by one: gathered topics beside plain frames of one value each, and beside bare upserts.

Both are drained by `greenpower ingest` as it ships, in turn, from the same broker into the same mongod. A gathered
value is a frame; so is a plain one, which has a stamp. Each drain ends with a count: nothing may be lost.
`python -m tools.bench.topics` prints the rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from pymongo import MongoClient, UpdateOne
from pymongo.database import Database

from greenpower.stack import Mongod, Mosquitto
from tools.bench.ingest import Bench, BenchError, Document, Packets

FRAMES, QUICK_FRAMES = 42_000, 14_000
BATCH = 1_000
PLUGINS = "+shelly_gen1,+tasmota"
PLAIN, GATHERED = "tasmota_data", "shelly_gen1_data"
#: field of the topic, a usual value
VALUES = {
    "power": 412.4, "reactive_power": -38.2, "pf": 0.94, "voltage": 231.1, "current": 1.8, "total": 1_843_206.4,
    "total_returned": 52.3,
}  # fmt: skip
#: of plain frames of one value, in values a second
GOAL = 0.3


def plain_packets(count: int, now: datetime) -> Packets:
    """Frames of one value each."""
    random = Random(1)
    found = []
    for number in range(count):
        stamp = (now - timedelta(seconds=30 * (number % 20))).isoformat(timespec="seconds")
        body = f'{{"Time":"{stamp}","ENERGY":{{"Power":{random.uniform(1, 4000):.1f}}}}}'
        found.append((f"tele/plug{number // 20:06d}/SENSOR", body.encode()))
    return found


def gathered_packets(count: int, *, spread: bool) -> Packets:
    """Values on topics of their own, each field of a device once. spread: the fields of a device far apart, so that
    each but the first is an upsert; else one after the other, as a device sends them."""
    random = Random(2)
    devices = count // len(VALUES)
    found = [
        (f"shellies/shellyem-{device:06d}/emeter/0/{name}", f"{usual * random.uniform(0.97, 1.03):.2f}".encode())
        for device in range(devices)
        for name, usual in VALUES.items()
    ]
    return sorted(found, key=lambda packet: packet[0].rpartition("/")[2]) if spread else found


def count_values(db: Database[Document], collection: str, values: int) -> None:
    """Raise BenchError unless so many values are stored."""
    sizes = {"$size": {"$objectToArray": "$payload"}}
    found = list(db[collection].aggregate([{"$group": {"_id": None, "values": {"$sum": sizes}}}]))
    stored = found[0]["values"] if found else 0
    if stored != values:
        raise BenchError(f"lost: {stored} of {values} values are stored in {collection}")


def bare_upserts(uri: str, count: int) -> float:
    """Values a second of bare upserts with an event each: a field of a reading at a time, in batches, journaled."""
    with MongoClient[Any](uri, tz_aware=True) as client:
        db = client[f"bench_{uuid4().hex[:8]}"]
        db.readings.create_index([("device_id", 1), ("timestamp", 1)], unique=True)
        now = datetime.now(UTC).replace(microsecond=0)
        packets = gathered_packets(count, spread=True)
        began = time.perf_counter()
        for start in range(0, len(packets), BATCH):
            writes, events = [], []
            for topic, payload in packets[start : start + BATCH]:
                device, name = topic.split("/")[1], topic.rpartition("/")[2]
                key = {"device_id": device, "timestamp": now}
                change = {"$set": {f"payload.{name}": float(payload), "updated_at": now}}
                writes.append(UpdateOne(key, change, upsert=True))
                events.append({"topic": topic, "device_id": device, "received_at": now, "raw": payload.decode()})
            db.readings.bulk_write(writes, ordered=False)
            db.events.insert_many(events, ordered=False)
        seconds = time.perf_counter() - began
        client.drop_database(db.name)
    return len(packets) / seconds


def run(quick: bool = True, frames: int | None = None) -> list[dict[str, Any]]:
    """One row each: bare upserts, plain frames, gathered values of devices one after the other, and spread."""
    count = frames or (QUICK_FRAMES if quick else FRAMES)
    count -= count % len(VALUES)
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        home = Path(folder)
        with Mongod(home / "mongod") as mongod, Mosquitto(home / "mosquitto") as mosquitto:
            bench = Bench(home, mongod, mosquitto, plugins=PLUGINS)
            upserts = bare_upserts(mongod.uri, count)
            plain = bench.drain(plain_packets(count, datetime.now(UTC)), {PLAIN: count})
            rates = {
                spread: bench.drain(
                    gathered_packets(count, spread=spread), {}, verify=lambda db: count_values(db, GATHERED, count)
                )
                for spread in (False, True)
            }
    names = {False: "gathered topics, device after device", True: "gathered topics, field after field"}
    return [
        {"name": "bare upserts of a value and its event", "frames_per_s": upserts},
        {"name": "plain frames of one value", "frames_per_s": plain},
        *(
            {"name": f"{names[spread]}, to plain frames", "frames_per_s": rate, "ratio": rate / plain, "goal": GOAL}
            for spread, rate in rates.items()
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.bench.topics", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more frames")
    parser.add_argument("--frames", type=int, help="how many frames, instead")
    given = parser.parse_args()
    print(json.dumps(run(not given.full, given.frames), indent=2))
