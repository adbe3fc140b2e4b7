"""Rollups under fire: worker, Valkey and mongod are killed at random moments while readings come, late ones among them.

In the end, when everything has been left alone for one run, every bucket equals the plain recomputation from raw.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import redis
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import BulkWriteError, PyMongoError

from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.jobs.schedule import QUEUE
from greenpower.measure.windows import late_before
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INVALIDATIONS, SEEN, ensure_indexes
from greenpower.rollups.plan import all_plans
from greenpower.rollups.range_groups import MAX_DEVICES_IN_ONE_GROUP
from greenpower.stack import Mongod, Valkey
from tests.every_kind import EVERY_KIND, install_every_kind
from tests.process import Command
from tests.rollups.truth import check_type
from tests.wait import wait_until

TYPES = ("eny_now", "solar")
DEVICES = 3
HISTORY = timedelta(hours=20)
MINUTE = timedelta(minutes=1)


class Chaos:
    """A stack of its own with readings in it; `rounds` kills things, `settle` ends it, `check` judges.

    helpers: further workers, which share every type with the first; ingest has seen enough devices for that.
    """

    def __init__(self, home: Path, seed: int, helpers: int = 0) -> None:
        self.helpers = helpers
        self.rng = random.Random(seed)
        self.home = home
        self.mongod, self.valkey = Mongod(home / "mongod"), Valkey(home / "valkey")
        self.registry = get_registry()
        self.types = [*(self.registry[name] for name in TYPES), EVERY_KIND]
        self.environment = install_every_kind(home)
        self.worker: Command | None = None
        self.workers: list[Command] = []
        self.kills: dict[str, int] = {}

    @contextmanager
    def running(self) -> Iterator[Chaos]:
        """With mongod and Valkey up and the worker started."""
        with self.mongod, self.valkey:
            self.settings = Settings(
                _env_file=None,  # type: ignore[call-arg]
                greenpower_home=self.home,
                mongo_db_uri=self.mongod.uri,  # type: ignore[arg-type]
                mongo_db_name="chaos",
                redis_url=self.valkey.url,  # type: ignore[arg-type]
                log_level="WARNING",
            )
            with MongoClient[Document](self.mongod.uri, tz_aware=True, serverSelectionTimeoutMS=20_000) as client:
                self.db = client["chaos"]
                ensure_indexes(self.db, self.types, self.settings)
                begin = datetime.now(UTC) - HISTORY
                for datatype in self.types:
                    self.store(datatype, begin, 120)
                    if self.helpers:
                        self.db[SEEN].insert_many(
                            {"_id": f"{datatype.name}|{number}", "type": datatype.name}
                            for number in range(MAX_DEVICES_IN_ONE_GROUP + 1)
                        )
                for _ in range(1 + self.helpers):
                    self.start_worker()
                try:
                    yield self
                finally:
                    for worker in self.workers:
                        kill_family(worker.process.pid)
                        worker.kill()

    def start_worker(self) -> None:
        self.worker = Command(self.settings, "worker", folder=self.home, env=self.environment)
        self.workers.append(self.worker)

    def rounds(self, count: int, say: Callable[[str], None] = lambda text: None) -> None:
        """So many kills, jobs and readings coming all the while."""
        for number in range(count):
            self.enqueue()
            datatype = self.rng.choice(self.types)
            back = timedelta(minutes=self.rng.choice([2, 2, 40, 300, 1_000]))
            self.store(datatype, datetime.now(UTC) - back, self.rng.randrange(1, 30))
            self.enqueue()
            time.sleep(self.rng.uniform(0.2, 1.6))
            victim = self.rng.choice(["worker", "worker", "worker", "valkey", "mongod"])
            self.kills[victim] = self.kills.get(victim, 0) + 1
            if victim == "worker":
                self.worker = self.rng.choice(self.workers) if self.helpers else self.worker
                assert self.worker is not None
                kill_family(self.worker.process.pid)
                self.worker.kill()
                self.workers.remove(self.worker)
                self.start_worker()
            else:
                part = self.valkey if victim == "valkey" else self.mongod
                part.kill()
                part.start()
            say(f"{number + 1}: {victim}")

    def enqueue(self) -> None:
        """Ask for a run of every tier, as the scheduler does."""
        try:
            with redis.Redis.from_url(self.valkey.url) as connection:
                queue = JsonQueue(QUEUE, connection=connection)
                waiting = set(queue.job_ids)
                for plan in all_plans(self.types, self.settings):
                    if plan.name.replace("/", "-") not in waiting:
                        queue.enqueue(
                            "greenpower.jobs.rollup.roll",
                            plan.datatype.name,
                            plan.tier.prefix,
                            job_id=plan.name.replace("/", "-"),
                            job_timeout=60,
                        )
        except redis.RedisError:
            pass  # it is the next round's

    def store(self, datatype: DataType, begin: datetime, count: int) -> None:
        """Readings as ingest stores and marks them, tried again until the database has taken both."""
        for number in range(DEVICES):
            device = f"{datatype.name}-{number}"
            times = sorted(
                begin + MINUTE * index + timedelta(milliseconds=self.rng.randrange(50_000)) for index in range(count)
            )
            times = [
                time.replace(microsecond=time.microsecond // 1000 * 1000) for time in times if time <= datetime.now(UTC)
            ]
            self._until_stored(datatype, [self._reading(datatype, device, time) for time in times])

    def _reading(self, datatype: DataType, device: str, time: datetime) -> Document:
        # By the time, so that a register read later stands higher whenever it comes, and glitches now and then.
        register = int(time.timestamp()) // 7 - 250_000_000
        rng = self.rng
        payload: dict[str, Any]
        if datatype.name == "eny_now":
            payload = {"zygsz": register / 8, "fygsz": register, "dmpmax": rng.random()}
        elif datatype is EVERY_KIND:
            payload = self._every_kind(time)
        else:
            payload = {"active_energy_delivered": register, "current_a": rng.random() * 9}
        if rng.random() < 0.03:
            payload = dict.fromkeys(payload, 0)
        return {
            "_id": ObjectId(),
            "device_id": device,
            "topic": datatype.name,
            "timestamp": time,
            "received_at": datetime.now(UTC),
            "updated_at": datetime.now(UTC),
            "payload": payload,
            "complete": True,
        }

    def _every_kind(self, time: datetime) -> dict[str, Any]:
        rng, second = self.rng, time.timestamp()
        midnight = time.astimezone(self.settings.device_zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "power": rng.uniform(-5, 90),
            "bearing": rng.uniform(0, 360),
            "imported": int(second) // 100 % 10**6,
            "netted": round(4_000 + 50 * math.sin(second / 20_000), 3),
            "today": round((time - midnight).total_seconds() / 720, 3),
            "used": round(rng.uniform(0, 1), 3),
            "setpoint": rng.randrange(50),
            "mode": rng.choice([0, 1, 2, 7, 5]),
            "faults": rng.choice([0, 0, 1, 33, 8]),
        }

    def _until_stored(self, datatype: DataType, documents: list[Document]) -> None:
        def stored() -> bool:
            try:
                if documents:
                    self.db[datatype.collection].insert_many(documents, ordered=False)
            except BulkWriteError:
                pass  # stored by an attempt whose answer was lost
            except PyMongoError:
                return False
            late = late_before(datetime.now(UTC), datatype.tiers[0].window)
            places = {
                Place.of(datatype.name, datatype.tiers[0].prefix, document["device_id"], document["timestamp"])
                for document in documents
                if document["timestamp"] < late
            }
            try:
                invalidate(self.db[INVALIDATIONS], places)
            except PyMongoError:
                return False
            return True

        wait_until(stored, 30)

    def remove(self, datatype: DataType, begin: datetime, minutes: int) -> None:
        """Take readings away, as a replay does, and mark them."""
        span = {"timestamp": {"$gte": begin, "$lt": begin + MINUTE * minutes}}
        places = {
            Place.of(datatype.name, datatype.tiers[0].prefix, document["device_id"], document["timestamp"])
            for document in self.db[datatype.collection].find(span)
        }
        self.db[datatype.collection].delete_many(span)
        invalidate(self.db[INVALIDATIONS], places)

    def settle(self, timeout: float = 120) -> None:
        """Leave everything alone until each tier has been run once more and nothing is marked.

        Twice: the last run of the first time may have begun before something was killed or thawed.
        """
        for _ in range(2):
            self._settle(timeout)

    def _settle(self, timeout: float) -> None:
        since = datetime.now(UTC)
        names = {f"{plan.datatype.name}/{plan.tier.prefix}" for plan in all_plans(self.types, self.settings)}

        def settled() -> bool:
            self.enqueue()
            time.sleep(0.3)
            ran = self.db.rollup_watermarks.find({"ran_at": {"$gt": since}, "error": ""})
            done = {str(state["_id"]) for state in ran if _all_ranges_ran(state, since)}
            return done >= names and self.db[INVALIDATIONS].count_documents({}) == 0

        wait_until(settled, timeout)

    def check(self) -> int:
        """Hold all buckets against the truth. Returns how many there are."""
        return sum(check_type(self.db, datatype, self.settings, datetime.now(UTC)) for datatype in self.types)


def _all_ranges_ran(state: Document, since: datetime) -> bool:
    """Whether none of a tier's device ranges that are computed apart is left out."""
    return all(apart.get("ran_at", since) > since for apart in state.get("ranges", {}).values())


def family(pid: int) -> list[psutil.Process]:
    """The processes that a worker forked for its jobs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_family(pid: int) -> None:
    """Kill the processes that a worker forked, but for those that end by themselves meanwhile."""
    for child in family(pid):
        with suppress(psutil.NoSuchProcess):
            child.kill()
