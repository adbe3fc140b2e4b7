"""Backfill: computing a span of a type's tiers anew, whatever is there, finest tier first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pymongo.database import Database

from greenpower.catalog.facts import ledger_tier
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.measure.spec import Spec
from greenpower.measure.windows import ceil, floor
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_part import DAY
from greenpower.mongo.rollups.unfinished import Unfinished, Work, unfinished
from greenpower.mongo.rollups.watermarks import EPOCH, move_watermark
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.rollups.adjustments import evaluate_adjustments
from greenpower.rollups.compute import compute, first_reading
from greenpower.rollups.ledger_catch_up import catch_up
from greenpower.rollups.parts import end_of_step
from greenpower.rollups.plan import TierPlan, make_plans
from greenpower.rollups.run import now
from greenpower.rollups.tier_run import Clock, Counts, prepare

# Called after each step: the tier, begin of the span, how far it is, its end, what was done so far.
Report = Callable[[TierPlan, datetime, datetime, datetime, Counts], None]


def backfill(
    db: Database[Document],
    datatype: DataType,
    settings: Settings,
    *,
    prefix: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    clock: Clock = now,
    report: Report = lambda plan, begin, here, end, counts: None,
) -> dict[str, Counts]:
    """Compute `[since, until)` of a type's tiers anew, from the tier `prefix` (default: the finest) upwards.

    Whole, that is without prefix, since and until, it also computes fields whose kind was changed. Safe to stop and to
    repeat, also beside the jobs. Raises PyMongoError.
    """
    plans: Sequence[TierPlan] = make_plans(datatype, settings)
    if prefix is not None:
        names = [plan.tier.prefix for plan in plans]
        plans = plans[names.index(prefix) :]
    if ledger_tier(datatype) not in [plan.tier for plan in plans]:
        return _compute_plans(db, datatype, settings, plans, (prefix, since, until), clock, report)
    span = since or EPOCH, until or clock() + DAY
    with unfinished(db[INVALIDATIONS], Unfinished.of(datatype.name, Work.BACKFILL, *span)) as renew:

        def renewed(*told: Any) -> None:
            renew()
            report(*told)

        return _compute_plans(db, datatype, settings, plans, (prefix, since, until), clock, renewed)


def _compute_plans(
    db: Database[Document],
    datatype: DataType,
    settings: Settings,
    plans: Sequence[TierPlan],
    asked: tuple[str | None, datetime | None, datetime | None],
    clock: Clock,
    report: Report,
) -> dict[str, Counts]:
    """asked: prefix, since and until."""
    prefix, since, until = asked
    done = {}
    whole = prefix is None and since is None and until is None
    for plan in plans:
        run = prepare(db, plan, settings, clock, accept_kinds=whole)
        begin = max(floor(since or first_reading(run) or run.now, plan.unit), run.computed_from)
        end = ceil(until, plan.unit) if until is not None else run.top
        here = begin
        while here < end:
            step_end = end_of_step(run, here, end)
            compute(run, here, step_end)
            here = step_end
            report(plan, begin, here, end, run.counts)
        if whole and run.target > EPOCH:
            move_watermark(run.watermarks, datatype.name, plan.tier.prefix, run.target)
        catch_up(run)
        evaluate_adjustments(run)
        done[plan.name] = run.counts
        if whole and plan is plans[-1]:
            run.field_kinds.declare(Spec.from_datatype(datatype).kinds, changed_too=True)
    return done
