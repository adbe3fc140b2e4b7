"""Rolling a tier forward: from its watermark in bounded steps, oldest first, and the open windows as far as they go."""

from __future__ import annotations

from datetime import datetime

from greenpower.measure.windows import floor
from greenpower.mongo.rollups.watermarks import EPOCH, move_watermark
from greenpower.rollups.compute import compute, end_of_step, first_reading, invalidate_next
from greenpower.rollups.tier_run import MayContinue, TierRun, always


def roll_forward(run: TierRun, may_continue: MayContinue = always) -> None:
    """Compute from the watermark up to now. may_continue: asked between steps.

    The watermark moves over what is stored, never further than the run's target. Raises PyMongoError.
    """
    begin = _begin(run)
    while begin is not None and begin < run.top:
        begin = _skip_empty(run, begin)
        end = end_of_step(run, begin, run.top)
        done = end <= run.target
        made = compute(run, begin, end, fresh=done)
        _compute_decided(run, {(device, floor(time, run.plan.unit)) for device, time in made.revisit})
        if run.target > EPOCH:
            move_watermark(run.watermarks, run.plan.datatype.name, run.plan.tier.prefix, min(end, run.target))
        begin = end
        if not may_continue():
            return


def _begin(run: TierRun) -> datetime | None:
    """Where to go on: at the watermark, or at the first reading; None where there is nothing yet."""
    if run.watermark is not None:
        return max(run.watermark, run.kept_from)
    first = first_reading(run)
    return None if first is None else max(floor(first, run.plan.unit), run.kept_from)


def _skip_empty(run: TierRun, begin: datetime) -> datetime:
    """Over a stretch without readings to the next one, or to where nothing is done yet."""
    following = first_reading(run, begin)
    following = run.target if following is None else min(following, run.target)
    return max(begin, floor(following, run.plan.unit))


def _compute_decided(run: TierRun, windows: set[tuple[str, datetime]]) -> None:
    """Compute windows before this stretch again whose last samples only this stretch decided."""
    for device, start in sorted(windows):
        compute(run, start, start + run.unit, [device])
    invalidate_next(run, windows)
