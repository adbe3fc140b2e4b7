"""Floors of small reads: the same questions asked of MongoDB by bare PyMongo, over one connection, encoded with orjson.
Imports nothing of greenpower.

`day`: the documents of a device and range with ten fields. `energy`: the ledger's documents of the range, added up to
a number per device and local day, and what the readings after it counted (first and last by `$group`). Prints one line
of JSON: {"rate", "p50_ms", "p99_ms"}.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
from datetime import datetime, timedelta
from typing import Any

import orjson
from pymongo import MongoClient

from tools.bench.floor_find import repeated

FIELDS = ("ua", "ub", "uc", "uab", "ubc", "uca", "ia", "ib", "ic", "ig")
COUNTER = "zygsz"
# Asia/Dhaka: six hours ahead, so a local day begins with this quarter-hour of a UTC day.
LOCAL_MIDNIGHT = 72
EACH_DAY = 96


def day(db: Any, given: argparse.Namespace) -> None:
    """Find a day in minutes and encode it."""
    where = {"device_id": _device(random.randrange(20)), "timestamp": {"$gte": given.since, "$lte": given.until}}
    shown = {"device_id": 1, "timestamp": 1, "final": 1, **{f"payload.{name}": 1 for name in FIELDS}}
    orjson.dumps(list(db[given.collection].find(where, shown).sort("timestamp", 1)), default=str)


def energy(db: Any, given: argparse.Namespace) -> None:
    """Find days of the ledger and the registers since, and add up by local days."""
    devices = [_device(number) for number in range(given.each)] if given.each > 1 else [_device(random.randrange(100))]
    where = {
        "type": "eny_now",
        "device_id": {"$in": devices},
        "field": COUNTER,
        "day": {"$gte": given.since - timedelta(days=1)},
    }
    shown = {"_id": 0, "device_id": 1, "day": 1, "slots": 1}
    sums: dict[tuple[str, str], float] = {}
    for document in db.energy_intervals.find(where, shown, batch_size=2_500):
        packed = document["slots"]["energy"]
        slots = struct.unpack(f"<{len(packed) // 8}q", packed)
        for begin, end, later in ((0, LOCAL_MIDNIGHT, 0), (LOCAL_MIDNIGHT, EACH_DAY, 1)):
            key = (document["device_id"], f"{document['day'] + timedelta(days=later):%Y-%m-%d}")
            sums[key] = sums.get(key, 0) + sum(slots[begin:end])
    register = f"$payload.{COUNTER}"
    stages = [
        {"$match": {"device_id": {"$in": devices}, "timestamp": {"$gte": given.until}}},
        {"$sort": {"device_id": 1, "timestamp": 1}},
        {"$group": {"_id": "$device_id", "first": {"$first": register}, "last": {"$last": register}}},
    ]
    since = {row["_id"]: row["last"] - row["first"] for row in db[given.raw].aggregate(stages)}
    orjson.dumps([[*key, value / 1e6] for key, value in sums.items()] + [since])


def _device(number: int) -> str:
    return f"BENCH{number:08}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("day", "energy"))
    parser.add_argument("--uri", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--collection")
    parser.add_argument("--raw")
    parser.add_argument("--each", type=int, default=1, help="devices of a question")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--since", type=datetime.fromisoformat, required=True)
    parser.add_argument("--until", type=datetime.fromisoformat, required=True)
    given = parser.parse_args()
    with MongoClient[dict[str, Any]](given.uri, tz_aware=True) as client:
        print(json.dumps(repeated({"day": day, "energy": energy}[given.what], client[given.name], given)))
    assert not [name for name in sys.modules if name.partition(".")[0] in ("greenpower", "plugins")]


if __name__ == "__main__":
    main()
