"""A tier's run as a job: its locks, the workers that share it, a database that is away, the tiers that come next.

A small type is one group of all device ranges, as one worker computes it. Where several workers run and the type is
large, the job asks others for help, and each takes one group after the other:

    worker 1   round begins ── asks for help ── group 0-3 ──────── group 8-b ── next tier
    worker 2                                     └─ group 4-7 ── group c-f ── next tier

What does not belong here: computing (`run`), Redis and RQ (`greenpower.jobs.rollup`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from pymongo.database import Database
from pymongo.errors import AutoReconnect, PyMongoError

from greenpower.archive.database import open_database
from greenpower.config import Settings
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.rollups.invalidations import read_invalidations
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges, name_ranges
from greenpower.mongo.rollups.run_notes import begin_round, note_failure, note_run
from greenpower.mongo.rollups.watermarks import EPOCH, Progress, read_progress
from greenpower.mongo.schema.layout import INVALIDATIONS, SEEN, WATERMARKS
from greenpower.rollups.lock import TierLock, TimeBudget
from greenpower.rollups.plan import TierPlan, make_plans
from greenpower.rollups.range_groups import MAX_DEVICES_COUNTED, alone, split
from greenpower.rollups.run import MAX_ERROR_CHARACTERS, now, run_tier
from greenpower.rollups.tier_run import Counts, RunStart

log = logging.getLogger(__name__)

# What a run does not reach in this time is left for the next one, which is queued at once.
ROLLUP_RUN_SECONDS = 120.0
# While the database is away.
MAX_RUN_ATTEMPTS = 3
FIRST_RETRY_SECONDS = 1.0
APPNAME = "greenpower-worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLinks:
    """What a job needs of the queue. workers: how many there are. lock: the lock of a name. queue: gets the tiers whose
    run is due after this one. ask: lets so many other workers help with a tier."""

    workers: int
    lock: Callable[[str], TierLock]
    queue: Callable[[TierPlan], None]
    ask: Callable[[TierPlan, int], None]


def run_job(plan: TierPlan, settings: Settings, links: JobLinks, *, helping: bool = False) -> Counts | None:
    """One run of a tier as a job. None where other runs have all of it. helping: in the round that another job began.

    Raises PyMongoError after `MAX_RUN_ATTEMPTS`, and what a device range failed with; the next run goes on where this
    one stopped.
    """
    for attempt in range(MAX_RUN_ATTEMPTS):
        with sync_client(settings, appname=APPNAME) as client:
            try:
                db = open_database(client, settings, (plan.datatype,))
                return _run(db, plan, settings, links, helping=helping)
            except AutoReconnect as error:
                if attempt == MAX_RUN_ATTEMPTS - 1:
                    raise
                log.warning("%s: %s; trying again", plan.name, f"{error}"[:200])
        time.sleep(FIRST_RETRY_SECONDS * 4**attempt)
    raise AssertionError("unreachable")


def _run(
    db: Database[Document], plan: TierPlan, settings: Settings, links: JobLinks, *, helping: bool
) -> Counts | None:
    groups, round_id = _groups(db, plan, links, helping=helping)
    counts: Counts | None = None
    failures = list[Exception]()
    unfinished, end = False, time.monotonic() + ROLLUP_RUN_SECONDS
    start = RunStart.take(db, now)
    for index, group in enumerate(groups):
        if index and time.monotonic() > end:
            unfinished = True
            break
        lock = links.lock(lock_name(plan, group))
        if not lock.hold():
            continue
        try:
            if round_id and _is_done(db, plan, group, round_id):
                continue
            budget = TimeBudget(lock, (end - time.monotonic()) / (len(groups) - index))
            done = run_tier(db, plan, settings, may_continue=budget, ranges=group, start=start, round_id=round_id)
            counts = counts or Counts()
            counts.add(done)
            unfinished |= budget.used_up
        except Exception as error:
            _note_failure(db, plan, group, start.now, error)
            if isinstance(error, AutoReconnect):
                raise
            failures.append(error)
        finally:
            lock.release()
    if counts is not None:
        _queue_next(db, plan, settings, links, unfinished=unfinished)
    if failures:
        raise failures[0]
    return counts


def lock_name(plan: TierPlan, group: Ranges) -> str:
    """The name of the lock of a group of a tier's device ranges."""
    return plan.name if group == ALL_RANGES else f"{plan.name}/{name_ranges(group)}"


def _groups(db: Database[Document], plan: TierPlan, links: JobLinks, *, helping: bool) -> tuple[list[Ranges], str]:
    """The groups of a tier, those first that have waited longest, and the id of the round; empty for one group."""
    groups, name, prefix = [ALL_RANGES], plan.datatype.name, plan.tier.prefix
    if links.workers > 1:
        groups = split(db[SEEN].count_documents({"type": name}, limit=MAX_DEVICES_COUNTED), links.workers)
    if len(groups) == 1:
        return ([] if helping else groups), ""
    progress = read_progress(db[WATERMARKS], name, prefix)
    groups.sort(key=lambda group: min(progress.apart(number).ran_at or EPOCH for number in group))
    if helping:
        return groups, progress.round
    round_id = uuid4().hex
    begin_round(db[WATERMARKS], name, prefix, round_id)
    links.ask(plan, min(links.workers, len(groups)) - 1)
    return groups, round_id


def _is_done(db: Database[Document], plan: TierPlan, group: Ranges, round_id: str) -> bool:
    """Whether a group was taken in a round."""
    progress = read_progress(db[WATERMARKS], plan.datatype.name, plan.tier.prefix)
    return all(progress.apart(number).round == round_id for number in group)


def _note_failure(db: Database[Document], plan: TierPlan, group: Ranges, began: datetime, error: Exception) -> None:
    """Keep on record what a run was broken off by, as far as that can be written and is not there already."""
    name, prefix = plan.datatype.name, plan.tier.prefix
    with suppress(PyMongoError):
        progress = read_progress(db[WATERMARKS], name, prefix)
        noted = (progress.apart(number) for number in group)
        if any(apart.error and (apart.ran_at or EPOCH) >= began for apart in noted):
            return
        text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
        if group == ALL_RANGES:
            note_failure(db[WATERMARKS], name, prefix, now(), text)
        else:
            note_run(db[WATERMARKS], name, prefix, now(), error=text, ranges=group)


def _queue_next(
    db: Database[Document], plan: TierPlan, settings: Settings, links: JobLinks, *, unfinished: bool
) -> None:
    """Queue this tier where its time was over, and the tier above where there is work for it.

    Without it the schedule brings them, so no failure here is one of the run.
    """
    if unfinished:
        links.queue(plan)
    above = next((other for other in make_plans(plan.datatype, settings) if other.tier.prefix == plan.next), None)
    try:
        if above is not None and _has_work(db, plan, above):
            links.queue(above)
    except PyMongoError as error:
        log.warning("%s: whether the next tier is due is not known: %s", plan.name, f"{error}"[:200])


def _has_work(db: Database[Document], plan: TierPlan, above: TierPlan) -> bool:
    """Whether the tier above has invalidations, or windows that are done now in any device range."""
    name = plan.datatype.name
    if read_invalidations(db[INVALIDATIONS], name, above.tier.prefix, 1):
        return True
    below = read_progress(db[WATERMARKS], name, plan.tier.prefix)
    done = read_progress(db[WATERMARKS], name, above.tier.prefix)
    return any(_is_due(below, done, above, group) for group in alone(ALL_RANGES))


def _is_due(below: Progress, above: Progress, plan: TierPlan, group: Ranges) -> bool:
    """Whether windows of a tier are done in the one below and not in the tier."""
    reached, done = below.reached(group), above.reached(group)
    return reached is not None and (done is None or floor(reached, plan.unit) > done)
