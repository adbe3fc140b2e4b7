"""The walk of a tier's run: the order of its steps, and what becomes of device ranges that fail.

What belongs here: the order of the steps, for ranges that can be computed together, and taking those apart that cannot.
What does not: the steps themselves (a module each), locks, workers and the tiers that come next (`job_run`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from pymongo.database import Database
from pymongo.errors import AutoReconnect

from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges, name_ranges
from greenpower.mongo.rollups.run_notes import note_run
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.rollups.adjustments import evaluate_adjustments
from greenpower.rollups.ledger_catch_up import catch_up
from greenpower.rollups.lock import TimeBudget
from greenpower.rollups.plan import TierPlan
from greenpower.rollups.range_groups import alike, alone
from greenpower.rollups.recompute import recompute
from greenpower.rollups.recover_late import recover_late
from greenpower.rollups.roll_forward import roll_forward
from greenpower.rollups.take_over import take_over
from greenpower.rollups.tier_run import (
    Clock,
    Counts,
    MayContinue,
    RunStart,
    TierRun,
    always,
    prepare,
    read_tier_progress,
)

log = logging.getLogger(__name__)

# In what a run leaves on record of devices whose computation fails.
MAX_FAILING_NAMED = 3
MAX_ERROR_CHARACTERS = 300
FIRST_RANGE = 0


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def run_tier(
    db: Database[Document],
    plan: TierPlan,
    settings: Settings,
    *,
    clock: Clock = now,
    may_continue: MayContinue = always,
    ranges: Ranges = ALL_RANGES,
    start: RunStart | None = None,
    round_id: str = "",
) -> Counts:
    """Bring a tier up to date, or some of its device ranges. may_continue: asked between steps; what is left is for the
    next run. start: if it began with others. round_id: of the round that it belongs to.

    Ranges that fail together are computed each alone, so that one that cannot be computed holds back no other. Raises
    what the first of those failed with, when all others are done; AutoReconnect at once.
    """
    start = start or RunStart.take(db, clock)
    progress = read_tier_progress(db, plan)
    counts, failures = Counts(), list[Exception]()
    left, failed_together = alike(plan, ranges, progress, start.now), set[Ranges]()
    while left:
        together = left.pop(0)
        part = may_continue.share(len(left) + 1) if isinstance(may_continue, TimeBudget) else may_continue
        try:
            run = prepare(db, plan, settings, clock, ranges=together, start=start, progress=progress)
            run = replace(run, failed_together=together in failed_together)
            counts.add(_run(run, part, round_id))
        except AutoReconnect:
            raise
        except Exception as error:
            if len(together) > 1 and may_continue():
                log.warning("%s: device ranges %s: %r; each alone", plan.name, name_ranges(together), error)
                progress = read_tier_progress(db, plan)
                left = alone(together) + left
                failed_together.update(alone(together))
                continue
            text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
            note_run(
                db[WATERMARKS],
                plan.datatype.name,
                plan.tier.prefix,
                start.now,
                error=text,
                ranges=together,
                round_id=round_id,
            )
            failures.append(error)
    if failures:
        raise failures[0]
    return counts


def _run(run: TierRun, may_continue: MayContinue, round_id: str) -> Counts:
    """The steps of a run."""
    recover_late(run)
    take_over(run, may_continue)
    roll_forward(run, may_continue)
    recompute(run, may_continue)
    catch_up(run, may_continue)
    evaluate_adjustments(run, may_continue)
    _note(run, round_id)
    return run.counts


def _note(run: TierRun, round_id: str) -> None:
    """Keep on record that the run ended, and what operators have to know of it."""
    problems = [
        f"{name} was kept as {kept} and is declared {declared}: left out until `greenpower rollups backfill --type "
        f"{run.plan.datatype.name}`"
        for name, (kept, declared) in sorted(run.changed_kinds.items())
    ]
    if run.counts.failed:
        named = ", ".join(run.counts.failing[:MAX_FAILING_NAMED])
        others = len(run.counts.failing) - MAX_FAILING_NAMED
        problems.append(
            f"{run.counts.failed} hours failed of {named}{f' and {others} others' if others > 0 else ''}, "
            "see the worker's log"
        )
    note_run(
        run.db[WATERMARKS],
        run.plan.datatype.name,
        run.plan.tier.prefix,
        run.now,
        error="; ".join(problems),
        # A window is one of all devices.
        left_alone=run.counts.left_alone if FIRST_RANGE in run.ranges else 0,
        ranges=run.ranges,
        round_id=round_id,
    )
