"""Bench of alarms: a round over 10 000 pairs of a rule and a device with one new reading each, beside a writer that
stores 200 readings a second in batches as ingest does.

One pair in ten is raised or cleared in each round. The floor reads the same readings and writes as many documents,
by bare PyMongo. `python -m tools.bench.alarms` prints the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pymongo import MongoClient, UpdateOne
from pymongo.database import Database

from greenpower.alarms.evaluator import Evaluator
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import NO_TIERS, DataType, Field, Mqtt, json_parser
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import SEEN, ensure_indexes
from greenpower.sql.alarm_rule import StoredAlarmRule
from greenpower.sql.session import sql_session
from greenpower.stack import Mongod

PAIRS, FIELDS, ROUNDS = 10_000, 40, 5
RAISED_SHARE = 10
GOAL_MS = 30_000
WRITER = """
import sys, time
from datetime import datetime, UTC
from pymongo import MongoClient
rows = MongoClient(sys.argv[1])["bench_alarms"]["beside_data"]
number = 0
while True:
    now = datetime.now(UTC)
    rows.insert_many([{"device_id": f"w{number + i}", "timestamp": now, "received_at": now, "updated_at": now,
                       "payload": {f"f{n}": 1.5 for n in range(40)}} for i in range(10)], ordered=False)
    number += 10
    time.sleep(0.05)
"""
METER = DataType(
    name="bench",
    title="bench",
    collection="bench_data",
    match=(Mqtt("bench"),),
    fields=tuple(Field(f"f{number}", unit="kW") for number in range(FIELDS)),
    parse=json_parser(device="id"),
    tiers=NO_TIERS,
)


def run(quick: bool = True) -> list[dict[str, Any]]:
    """The figures of a round, as those of `reads`."""
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder, Mongod(Path(folder) / "mongod") as mongod:
        settings = Settings.model_validate(
            {
                "greenpower_home": Path(folder),
                "mongo_db_uri": mongod.uri,
                "mongo_db_name": "bench_alarms",
                "jwt_signing_key": "j" * 40,
            }
        )
        init_sql(settings)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, mongod.uri])
        try:
            return [_measure(settings, ROUNDS if quick else 3 * ROUNDS)]
        finally:
            writer.kill()
            writer.wait()


def _measure(settings: Settings, rounds: int) -> dict[str, Any]:
    took: list[float] = []
    bare: list[float] = []
    with sync_client(settings) as client, sql_session(settings) as session:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, [METER], settings)
        rule = StoredAlarmRule(
            name="bench", kind="threshold", params={"field": "f3", "above": 10.0, "hysteresis": 1.0}, type=METER.name,
            devices=[], points=[], channels=[], severity="info", since=datetime.now(UTC) - timedelta(seconds=1),
        )  # fmt: skip
        session.add(rule)
        session.commit()
        seen = [{"_id": f"{METER.name}|d{n}", "type": METER.name, "device_id": f"d{n}"} for n in range(PAIRS)]
        db[SEEN].insert_many(seen)
        evaluator = Evaluator(db, session, Registry.of(METER), settings, lambda datatype: frozenset())
        for number in range(rounds):
            begin = datetime.now(UTC)
            _store(db, number)
            started = time.perf_counter()
            result = evaluator.run()
            took.append(time.perf_counter() - started)
            assert result.readings >= PAIRS and result.changes >= PAIRS // RAISED_SHARE, result
            started = time.perf_counter()
            _floor(client, settings.mongo_db_name, begin)
            bare.append(time.perf_counter() - started)
    ms, floor_ms = 1_000 * median(took), 1_000 * median(bare)
    return {
        "name": f"a round over {PAIRS} pairs of rule and device, beside 200 readings/s",
        "ms": round(ms, 1),
        "floor_ms": round(floor_ms, 1),
        "ratio": round(ms / floor_ms, 2),
        "times": None,
        "goal_ms": GOAL_MS,
    }


def _store(db: Database[dict[str, Any]], number: int) -> None:
    """A reading of each device; one in ten passes the limit in every other round."""
    now = datetime.now(UTC)
    payload = {f"f{place}": 1.5 for place in range(FIELDS)}
    beyond = {**payload, "f3": 20.0}
    db[METER.collection].insert_many(
        [
            {"device_id": f"d{n}", "topic": "t", "timestamp": now, "received_at": now, "updated_at": now,
             "payload": beyond if n % RAISED_SHARE == 0 and number % 2 == 0 else payload, "complete": True}
            for n in range(PAIRS)
        ],
        ordered=False,
    )  # fmt: skip


def _floor(client: MongoClient[dict[str, Any]], name: str, since: datetime) -> None:
    """The same readings by one query, and as many writes as there are transitions."""
    found = list(
        client[name][METER.collection].find({"updated_at": {"$gte": since}}, {"device_id": 1, "payload.f3": 1})
    )
    writes = [
        UpdateOne({"_id": item["device_id"]}, {"$set": {"value": item["payload"]["f3"]}}, upsert=True)
        for item in found[::RAISED_SHARE]
    ]
    client[name]["floor"].bulk_write(writes, ordered=False)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
