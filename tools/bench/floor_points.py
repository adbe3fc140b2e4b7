"""Floors of the energy model: the same questions asked of MongoDB by bare PyMongo, over one connection, encoded with
orjson. Imports nothing of greenpower.

`day`: the quarter-hours of each counter, added up by local days. `month`: whole days from the ledger's months, and the
quarter-hours of the days that a local midnight cuts. `cost`: the quarter-hours at two rates by local days, and the
highest of each month of one counter. Prints one line of JSON: {"rate", "p50_ms", "p99_ms"}.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
from pymongo import MongoClient

from tools.bench.floor_find import repeated

COUNTER = "zygsz"
DAY = timedelta(days=1)
# Asia/Dhaka: six hours ahead, so a local day begins with this quarter-hour of a UTC day.
LOCAL_MIDNIGHT = 72
# In UTC the night of 22:00 to 06:00 is this.
NIGHT = slice(64, 96)
POINTS = 100


def day(db: Any, given: argparse.Namespace) -> None:
    """Add up quarter-hours by local days."""
    sums: dict[tuple[str, str], int] = {}
    for device, start, slots in _days(db, {"$gte": given.since - DAY}):
        for begin, end, later in ((0, LOCAL_MIDNIGHT, 0), (LOCAL_MIDNIGHT, len(slots), 1)):
            key = (device, f"{start + timedelta(days=later):%Y-%m-%d}")
            sums[key] = sums.get(key, 0) + sum(slots[begin:end])
    orjson.dumps([[*key, value / 1e6] for key, value in sums.items()])


def month(db: Any, given: argparse.Namespace) -> None:
    """Add up days by months, and the days at their ends by quarter-hours."""
    sums: dict[tuple[str, str], int] = {}
    where = {"type": "eny_now", "device_id": {"$in": _devices()}, "field": COUNTER}
    since = (given.since - DAY).replace(day=1)
    shown = {"_id": 0, "device_id": 1, "month": 1, "slots.energy": 1}
    for document in db.energy_days.find({**where, "month": {"$gte": since}}, shown, batch_size=2_500):
        slots = _numbers(document["slots"]["energy"])
        sums[document["device_id"], f"{document['month']:%Y-%m}"] = sum(slots[:-1])
    ends = [given.since + timedelta(days=back) for back in range((given.until - given.since) // DAY + 1)]
    ends = [end - DAY for end in ends if end.day == 1]
    for device, start, slots in _days(db, {"$in": ends}):
        for part, later in ((slots[:LOCAL_MIDNIGHT], 0), (slots[LOCAL_MIDNIGHT:], 1)):
            key = (device, f"{start + timedelta(days=later):%Y-%m}")
            sums[key] = sums.get(key, 0) + sum(part)
    orjson.dumps([[*key, value / 1e6] for key, value in sums.items()])


def cost(db: Any, given: argparse.Namespace) -> None:
    """Add up quarter-hours at two rates, and find the highest of each month of the first counter."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    highest: dict[str, int] = {}
    for device, start, slots in _days(db, {"$gte": given.since - DAY}):
        key = (device, f"{start:%Y-%m-%d}")
        night = sum(slots[NIGHT])
        sums[key] = (night, sum(slots) - night)
        if device == _device(0):
            name = f"{start:%Y-%m}"
            highest[name] = max(highest.get(name, 0), max(slots))
    found = [[*key, night / 1e6 * 0.19 + rest / 1e6 * 0.29] for key, (night, rest) in sums.items()]
    orjson.dumps([found, highest])


def _days(db: Any, days: dict[str, Any]) -> Iterator[tuple[str, datetime, tuple[int, ...]]]:
    where = {"type": "eny_now", "device_id": {"$in": _devices()}, "field": COUNTER, "day": days}
    shown = {"_id": 0, "device_id": 1, "day": 1, "slots.energy": 1}
    for document in db.energy_intervals.find(where, shown, batch_size=2_500):
        yield document["device_id"], document["day"], _numbers(document["slots"]["energy"])


def _numbers(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 8}q", packed)


def _devices() -> list[str]:
    return [_device(number) for number in range(POINTS)]


def _device(number: int) -> str:
    return f"BENCH{number:08}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("day", "month", "cost"))
    parser.add_argument("--uri", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--since", type=datetime.fromisoformat, required=True)
    parser.add_argument("--until", type=datetime.fromisoformat, required=True)
    given = parser.parse_args()
    with MongoClient[dict[str, Any]](given.uri, tz_aware=True) as client:
        questions = {"day": day, "month": month, "cost": cost}
        print(json.dumps(repeated(questions[given.what], client[given.name], given)))
    assert not [name for name in sys.modules if name.partition(".")[0] in ("greenpower", "plugins")]


if __name__ == "__main__":
    main()
