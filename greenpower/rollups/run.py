"""The walk of a rollup run, from its lock to the tiers that come next.

What belongs here: the order of the steps. What does not: the steps themselves (a module each), and what starts a run
(`greenpower.jobs.rollup`, `greenpower.cli.rollups`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from pymongo.database import Database
from pymongo.errors import AutoReconnect, PyMongoError

from greenpower.config import Settings
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.rollups.invalidations import read_invalidations
from greenpower.mongo.rollups.watermarks import note_run, read_progress
from greenpower.mongo.schema.layout import INVALIDATIONS, WATERMARKS
from greenpower.rollups.lock import TierLock, TimeBudget
from greenpower.rollups.plan import TierPlan, make_plans
from greenpower.rollups.recompute import recompute
from greenpower.rollups.recover_late import recover_late
from greenpower.rollups.roll_forward import roll_forward
from greenpower.rollups.tier_run import Clock, Counts, MayContinue, TierRun, always, prepare

log = logging.getLogger(__name__)

# What a run does not reach in this time is left for the next one, which is queued at once.
ROLLUP_RUN_SECONDS = 120.0
# While the database is away.
MAX_RUN_ATTEMPTS = 3
FIRST_RETRY_SECONDS = 1.0
APPNAME = "greenpower-worker"


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def run_locked(plan: TierPlan, settings: Settings, lock: TierLock, queue: Callable[[TierPlan], None]) -> Counts | None:
    """One run of a tier as a job. None where another run has the lock.

    queue: gets the tiers whose run is due after this one. Raises PyMongoError after `MAX_RUN_ATTEMPTS`; the next run
    goes on where this one stopped.
    """
    if not lock.hold():
        return None
    try:
        budget = TimeBudget(lock, ROLLUP_RUN_SECONDS)
        counts = _run_patiently(plan, settings, budget)
        _queue_next(plan, settings, queue, unfinished=budget.used_up)
        return counts
    finally:
        lock.release()


def run_tier(
    db: Database[Document],
    plan: TierPlan,
    settings: Settings,
    *,
    clock: Clock = now,
    may_continue: MayContinue = always,
) -> Counts:
    """Bring a tier up to date. may_continue: asked between steps; what is left is for the next run.

    Raises PyMongoError where the database is away.
    """
    run = prepare(db, plan, settings, clock)
    recover_late(run)
    roll_forward(run, may_continue)
    recompute(run, may_continue)
    _note(run)
    return run.counts


def _note(run: TierRun) -> None:
    """Keep on record that the run ended, and what operators have to know of it."""
    problems = [
        f"{name} was kept as {kept} and is declared {declared}: left out until `greenpower rollups backfill --type "
        f"{run.plan.datatype.name}`"
        for name, (kept, declared) in sorted(run.changed_kinds.items())
    ]
    if run.counts.failed:
        problems.append(f"{run.counts.failed} invalidations failed, see the worker's log")
    note_run(
        run.db[WATERMARKS],
        run.plan.datatype.name,
        run.plan.tier.prefix,
        run.now,
        error="; ".join(problems),
        left_alone=run.counts.left_alone,
    )


def _run_patiently(plan: TierPlan, settings: Settings, budget: TimeBudget) -> Counts:
    """A run, again where the database was away. What went wrong is kept on record, as far as that can be written."""
    for attempt in range(MAX_RUN_ATTEMPTS):
        with sync_client(settings, appname=APPNAME) as client:
            db = client[settings.mongo_db_name]
            try:
                return run_tier(db, plan, settings, may_continue=budget)
            except Exception as error:
                with suppress(PyMongoError):
                    text = f"{type(error).__name__}: {error}"[:300]
                    note_run(db[WATERMARKS], plan.datatype.name, plan.tier.prefix, now(), error=text)
                if attempt == MAX_RUN_ATTEMPTS - 1 or not isinstance(error, AutoReconnect):
                    raise
                log.warning("%s: %s; trying again", plan.name, f"{error}"[:200])
        time.sleep(FIRST_RETRY_SECONDS * 4**attempt)
    raise AssertionError("unreachable")


def _queue_next(plan: TierPlan, settings: Settings, queue: Callable[[TierPlan], None], *, unfinished: bool) -> None:
    """Queue this tier where its time was over, and the tier above where there is work for it.

    Without it the schedule brings them, so no failure here is one of the run.
    """
    if unfinished:
        queue(plan)
    above = next((other for other in make_plans(plan.datatype, settings) if other.tier.prefix == plan.next), None)
    try:
        if above is not None and _has_work(plan, above, settings):
            queue(above)
    except PyMongoError as error:
        log.warning("%s: whether the next tier is due is not known: %s", plan.name, f"{error}"[:200])


def _has_work(plan: TierPlan, above: TierPlan, settings: Settings) -> bool:
    """Whether the tier above has invalidations, or windows that are done now."""
    with sync_client(settings, appname=APPNAME) as client:
        db = client[settings.mongo_db_name]
        if read_invalidations(db[INVALIDATIONS], plan.datatype.name, above.tier.prefix, 1):
            return True
        done = read_progress(db[WATERMARKS], plan.datatype.name, plan.tier.prefix).watermark
        done_above = read_progress(db[WATERMARKS], plan.datatype.name, above.tier.prefix).watermark
    return done is not None and (done_above is None or floor(done, above.unit) > done_above)
