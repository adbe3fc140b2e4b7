"""Floors of the API: the same documents by bare PyMongo and orjson in one process. Imports nothing of greenpower.

`page`: a page of 50 of one device and range; `latest`: the newest document of each device; `export`: all documents as
lines. Prints one line of JSON: {"rate": pages or documents a second, "p50_ms", "p99_ms"}.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from datetime import datetime
from typing import Any

import orjson
from pymongo import MongoClient

SHOWN = {"device_id": 1, "timestamp": 1, "payload": 1, "final": 1}


def page(collection: Any, given: argparse.Namespace) -> None:
    """Find a page and encode it."""
    device = f"BENCH{random.randrange(given.devices):08}"
    where = {"device_id": device, "timestamp": {"$gte": given.since, "$lte": given.until}}
    orjson.dumps(list(collection.find(where, SHOWN).sort("timestamp", 1).limit(50)), default=str)


def latest(collection: Any, given: argparse.Namespace) -> None:
    """Find each device's newest and encode them."""
    order: dict[str, Any] = {"device_id": -1, "timestamp": -1}
    first = {name: {"$first": f"${name}"} for name in ("timestamp", "payload", "topic")}
    pipeline: list[dict[str, Any]] = [{"$sort": order}, {"$group": {"_id": "$device_id", **first}}]
    orjson.dumps(list(collection.aggregate(pipeline)), default=str)


def repeated(work: Any, collection: Any, given: argparse.Namespace) -> dict[str, float]:
    """Do it for some seconds."""
    work(collection, given)
    times = []
    end = time.perf_counter() + given.seconds
    while (began := time.perf_counter()) < end:
        work(collection, given)
        times.append(time.perf_counter() - began)
    times.sort()
    return {
        "rate": len(times) / sum(times),
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }


def export(collection: Any) -> dict[str, float]:
    """A cursor over everything, a line each."""
    began, count, size = time.perf_counter(), 0, 0
    for document in collection.find({}, SHOWN).sort("timestamp", 1):
        size += len(orjson.dumps(document, default=str, option=orjson.OPT_APPEND_NEWLINE))
        count += 1
    return {"rate": count / (time.perf_counter() - began), "bytes": size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("page", "latest", "export"))
    parser.add_argument("--uri", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--collection", required=True)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--since", type=datetime.fromisoformat)
    parser.add_argument("--until", type=datetime.fromisoformat)
    given = parser.parse_args()
    with MongoClient[dict[str, Any]](given.uri, tz_aware=True) as client:
        collection = client[given.name][given.collection]
        if given.what == "export":
            print(json.dumps(export(collection)))
        else:
            print(json.dumps(repeated(page if given.what == "page" else latest, collection, given)))
    assert not [name for name in sys.modules if name.partition(".")[0] in ("greenpower", "plugins")]


if __name__ == "__main__":
    main()
