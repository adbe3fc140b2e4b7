"""Running tiers: late results are marked, then on from the watermark, what is marked, and a note of how it went."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.watermarks import note_run
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.rollups.plan import Plan
from greenpower.rollups.recompute import recompute
from greenpower.rollups.recover_late import recover_late
from greenpower.rollups.roll_forward import roll_forward
from greenpower.rollups.tier_run import Clock, Counts, TierRun

Keep = Callable[[], bool]


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def run_tier(
    db: Database[Document], plan: Plan, settings: Settings, *, clock: Clock = now, keep: Keep = lambda: True
) -> Counts:
    """Bring a tier up to date. keep: asked now and then whether to go on; what is left is for the next run.

    Raises PyMongoError where the database is away.
    """
    run = TierRun(db, plan, settings, clock)
    recover_late(run)
    roll_forward(run, keep)
    recompute(run, keep)
    problem = "".join(
        f"{name} was kept as {kept} and is declared {declared}: left out until `greenpower rollups backfill --type "
        f"{plan.datatype.name}`; "
        for name, (kept, declared) in sorted(run.changed_kinds.items())
    )
    if run.counts.failed:
        problem += f"{run.counts.failed} marks failed, see the worker's log; "
    note_run(
        db[WATERMARKS],
        plan.datatype.name,
        plan.tier.prefix,
        run.now,
        error=problem.removesuffix("; "),
        left_alone=run.counts.left_alone,
    )
    return run.counts
