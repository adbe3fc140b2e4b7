"""kill -9 of the job, of Redis and of mongod during incidents: one raise and one clear of each, in order, none lost."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from greenpower.mongo.schema.layout import ALARMS, NOTIFICATIONS, SEEN, ensure_indexes
from greenpower.sql.alarm_rule import StoredAlarmRule
from greenpower.sql.session import sql_session
from greenpower.stack import Valkey
from tests.memory import SmallMongod, data_home
from tests.process import environment

pytestmark = pytest.mark.slow
JOB = "from greenpower.jobs.alarms import work; work()"
DEVICES = ("A", "B", "C")
TURNS = 12


def test_what_is_killed_in_an_incident_raises_and_clears_once(tmp_path: Path) -> None:
    random_ = random.Random(7)
    with data_home() as home, SmallMongod(home) as mongod, Valkey(tmp_path / "valkey") as valkey:
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=tmp_path,
            mongo_db_uri=mongod.uri,  # type: ignore[arg-type]
            mongo_db_name="killed",
            redis_url=valkey.url,  # type: ignore[arg-type]
            jwt_signing_key="j" * 40,  # type: ignore[arg-type]
            secret_key="s" * 40,  # type: ignore[arg-type]
        )
        init_sql(settings)
        [datatype] = [item for item in get_registry() if item.name == "rt"]
        field = datatype.fields[0].name
        since = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        with sql_session(settings) as session:
            rule = StoredAlarmRule(
                name="r", kind="threshold", params={"field": field, "above": 10.0}, type="rt", devices=[], points=[],
                channels=[1], severity="critical", since=since - timedelta(hours=1),
            )  # fmt: skip
            session.add(rule)
            session.commit()
        expected: dict[str, list[datetime]] = {device: [] for device in DEVICES}
        with MongoClient[Document](mongod.uri, tz_aware=True) as client:
            db = client["killed"]
            ensure_indexes(db, get_registry(), settings)

            def store(device: str, at: datetime, value: float) -> None:
                now = datetime.now(UTC)
                row = {"device_id": device, "topic": "t", "timestamp": at, "received_at": now, "updated_at": now}
                db[datatype.collection].insert_one(
                    {"_id": new_id(), **row, "payload": {field: value}, "complete": True}
                )
                seen = {"type": "rt", "device_id": device, "last_heard": now}
                db[SEEN].update_one({"_id": f"rt|{device}"}, {"$set": seen}, upsert=True)

            for turn in range(TURNS):
                at = since + timedelta(seconds=turn)
                for device in DEVICES:
                    beyond = turn % 4 in (1, 2)
                    store(device, at, 20.0 if beyond else 1.0)
                    if turn % 4 == 1:
                        expected[device].append(at)
                job = subprocess.Popen([sys.executable, "-c", JOB], env=environment(settings))
                try:
                    job.wait(random_.uniform(0.5, 4.0))
                except subprocess.TimeoutExpired:
                    for server in ((), (mongod,), (valkey,))[turn % 3]:
                        server.kill()
                        server.start()
                    job.kill()
                    job.wait()
            for _ in range(2):
                subprocess.run([sys.executable, "-c", JOB], env=environment(settings), check=True)
            found = list(db[ALARMS].find().sort([("device_id", 1), ("begin", 1)]))
            assert {device: [item["begin"] for item in found if item["device_id"] == device] for device in DEVICES} == (
                expected
            )
            for item in found:
                steps = [(step["seq"], step["step"]) for step in item["transitions"]]
                assert steps == [(1, "raised"), (2, "cleared")] and item["told"] == 2 and "untold" not in item
            assert db[NOTIFICATIONS].count_documents({}) == 2 * len(found)
