"""What RQ runs for a tier: one run in bounded time, under a lock, tried again where the database was away."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from pymongo.database import Database
from pymongo.errors import AutoReconnect, PyMongoError
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings, load_settings
from greenpower.jobs.schedule import push, rollup_entry
from greenpower.measure.window import floor
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.rollups.invalidations import read_invalidations
from greenpower.mongo.rollups.watermarks import note_run, read_progress
from greenpower.mongo.schema.layout import INVALIDATIONS, WATERMARKS
from greenpower.rollups.plan import Plan, find_plan, make_plans
from greenpower.rollups.run import now, run_tier

log = logging.getLogger(__name__)

# Of a run; what it does not reach is for the next one, which is queued at once.
SECONDS = 120.0
# The lock saves work, it guards nothing: of two runs at once the later result stays, whoever holds the lock.
LOCK_SECONDS = 15
TRIES = 3
FIRST_PAUSE = 1.0


def roll(type_name: str, prefix: str) -> str:
    """Bring a tier up to date. Called in a process of its own, forked for this job; clients are made here.

    Raises PyMongoError after some tries; RQ keeps the failure, and the next run goes on where this one stopped.
    """
    settings = load_settings()
    datatype = get_registry().get(type_name)
    plan = None if datatype is None else find_plan(datatype, prefix, settings)
    if plan is None:
        return "not declared any more"
    with Redis.from_url(settings.need("REDIS_URL")) as redis:
        lock = redis.lock(f"greenpower:lock:{plan.name}", timeout=LOCK_SECONDS)
        if not lock.acquire(blocking=False):
            return "another run is at it"
        try:
            return _attempt(settings, plan, redis, TimeBudget(lock))
        finally:
            with suppress(LockError, RedisError):
                lock.release()


class TimeBudget:
    """Whether a run may go on: its time is not over and nobody else has taken the lock meanwhile."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._end = time.monotonic() + SECONDS
        self.cut = False

    def __call__(self) -> bool:
        if time.monotonic() > self._end:
            self.cut = True
            return False
        try:
            self._lock.reacquire()
        except LockError:
            # A step took longer than the lock. Where nobody else has taken it, nobody else would go on.
            if not self._lock.acquire(blocking=False):
                log.warning("the run took longer than its lock; another one goes on")
                return False
        return True


def _attempt(settings: Settings, plan: Plan, redis: Redis, budget: TimeBudget) -> str:
    pause = FIRST_PAUSE
    for attempt in range(1, TRIES + 1):
        try:
            with sync_client(settings, appname="greenpower-worker") as client:
                db = client[settings.mongo_db_name]
                try:
                    return _run(db, settings, plan, redis, budget)
                except Exception as error:
                    with suppress(PyMongoError):
                        text = f"{type(error).__name__}: {error}"[:300]
                        note_run(db[WATERMARKS], plan.datatype.name, plan.tier.prefix, now(), error=text)
                    raise
        except AutoReconnect as error:
            if attempt == TRIES:
                raise
            log.warning("%s: %s; trying again in %g s", plan.name, f"{error}"[:200], pause)
        time.sleep(pause)
        pause *= 4
    raise AssertionError("unreachable")


def _run(db: Database[Document], settings: Settings, plan: Plan, redis: Redis, budget: TimeBudget) -> str:
    began = time.monotonic()
    counts = run_tier(db, plan, settings, keep=budget)
    if budget.cut:
        push(redis, rollup_entry(plan))
    above = next((other for other in make_plans(plan.datatype, settings) if other.tier.prefix == plan.next), None)
    if above is not None and _has_work(db, plan, above):
        push(redis, rollup_entry(above))
    seconds = time.monotonic() - began
    return f"{counts.written} written, {counts.deleted} deleted, {counts.invalidations} marks in {seconds:.1f} s"


def _has_work(db: Database[Document], plan: Plan, above: Plan) -> bool:
    """Whether the tier above has marks, or windows that are done now."""
    if read_invalidations(db[INVALIDATIONS], plan.datatype.name, above.tier.prefix, 1):
        return True
    mine = read_progress(db[WATERMARKS], plan.datatype.name, plan.tier.prefix).watermark
    its = read_progress(db[WATERMARKS], plan.datatype.name, above.tier.prefix).watermark
    return mine is not None and (its is None or floor(mine, above.unit) > its)
