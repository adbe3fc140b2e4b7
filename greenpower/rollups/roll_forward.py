"""Moving a tier on: from its watermark in bounded steps, oldest first, and the open windows as far as they go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from greenpower.measure.window import floor
from greenpower.mongo.rollups.watermarks import EPOCH, move_watermark
from greenpower.rollups.tier_run import TierRun

Keep = Callable[[], bool]


def roll_forward(run: TierRun, keep: Keep = lambda: True) -> None:
    """Compute on from the watermark up to now. keep: asked between steps whether to go on.

    The watermark moves over what is stored, never further than the run's target. Raises PyMongoError.
    """
    start = _start(run)
    while start is not None and start < run.top:
        start = _over_nothing(run, start)
        stop = run.step(start, run.top)
        done = stop <= run.target
        made = run.compute(start, stop, fresh=done)
        _decide(run, {(device, floor(time, run.plan.unit)) for device, time in made.revisit})
        if run.target > EPOCH:
            move_watermark(run.state, run.plan.datatype.name, run.plan.tier.prefix, min(stop, run.target))
        start = stop
        if not keep():
            return


def _start(run: TierRun) -> datetime | None:
    """Where to go on: at the watermark, or at the first reading; None where there is nothing yet."""
    start = run.progress(run.plan.tier.prefix).watermark
    if start is None:
        first = run.first_reading()
        if first is None:
            return None
        start = floor(first, run.plan.unit)
    return max(start, run.kept_from)


def _over_nothing(run: TierRun, start: datetime) -> datetime:
    """Over a stretch without readings to the next one, or to where nothing is done yet."""
    following = run.first_reading(start)
    following = run.target if following is None else min(following, run.target)
    return max(start, floor(following, run.plan.unit))


def _decide(run: TierRun, windows: set[tuple[str, datetime]]) -> None:
    """Compute windows before this stretch again, the last samples of which only this stretch decided."""
    for device, start in sorted(windows):
        run.compute(start, start + run.unit, [device])
    run.pass_on(windows)
