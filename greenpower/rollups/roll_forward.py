"""Rolling a tier forward: from its watermark in bounded steps, oldest first, and the open windows as far as they go."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime

from greenpower.catalog.facts import ledger_tier
from greenpower.measure.windows import ceil, done_before, floor
from greenpower.mongo.rollups.incidents import unsettled
from greenpower.mongo.rollups.tier_documents import are_mostly_open, final_among
from greenpower.mongo.rollups.watermarks import EPOCH, move_watermark
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.apart import compute_apart
from greenpower.rollups.compute import first_reading, invalidate_next, revisited
from greenpower.rollups.documents import Made
from greenpower.rollups.ends import following
from greenpower.rollups.ledger import move_ledger
from greenpower.rollups.ledger_catch_up import catch_up
from greenpower.rollups.parts import end_of_step
from greenpower.rollups.plan import find_plan
from greenpower.rollups.tier_run import MayContinue, RunStart, TierRun, always, prepare

MAX_DEVICES_LOOKED_AT = 500


def roll_forward(run: TierRun, may_continue: MayContinue = always) -> None:
    """Compute from the watermark up to now, the devices of the run's ranges. may_continue: asked between steps.

    The watermark moves over what is stored, never further than the run's target, and with it that of the ledger. A
    device whose computation fails is left out and its hours are invalidated. Raises PyMongoError, and what all devices
    fail with.
    """
    begin = _begin(run)
    if not _begin_ledger(run, begin, may_continue):
        return
    while begin is not None and begin < run.top:
        followed = run.follows_ledger(begin)
        begin = _skip_empty(run, begin)
        if followed and run.ledger is not None:
            run.ledger.until = begin
        first, end, new = _begin_of_step(run, begin, followed=followed), run.top, begin < run.target
        if new and (done := end_of_step(run, begin, run.target)) < run.target:
            end = done
        made = compute_apart(run, first, end, fresh=new, may_continue=may_continue)
        if first < begin:
            # At once: after a crash it is seen no more that these windows were open.
            invalidate_next(run, _decided(made, begin))
        must, settle = revisited(run, made)
        windows = must | settle
        if new:
            windows |= _unsettled(run, made, first)
        _compute_decided(run, windows, first)
        if run.target > EPOCH:
            name, prefix = run.plan.datatype.name, run.plan.tier.prefix
            move_watermark(run.watermarks, name, prefix, min(end, run.target), run.ranges)
        if followed:
            move_ledger(run, begin, min(end, run.target))
        begin = end
        if not may_continue():
            return


def _begin_of_step(run: TierRun, begin: datetime, *, followed: bool) -> datetime:
    """Where a step begins: at the window before `begin` where that is to be computed again because of what comes.

    Live, the last samples of most counters are decided by the next ones. So the window before is computed together
    with those after it, which reads and writes what is around them once.
    """
    first = begin - run.unit
    if (
        begin != run.watermark
        or not run.spec.counters
        or run.plan.window is None
        or first < run.kept_from
        or (run.ledger is not None and not followed)
    ):
        return begin
    stretches = run.by_source(first, begin)
    if not stretches or stretches[0][0].window is not None or stretches[0][1] > first:
        return begin
    # Of the run's own devices: another worker may be done with those of other ranges.
    some = None if run.is_whole else run.lists.of(run.output.name, run.ranges)[:MAX_DEVICES_LOOKED_AT]
    return first if are_mostly_open(run.output, first, some) else begin


def _decided(made: Made, begin: datetime) -> set[tuple[str, datetime]]:
    """The windows before `begin` that what came from there on may have decided."""
    places = [(document["device_id"], document["timestamp"]) for document in made.documents]
    devices = {device for device, time in places if time >= begin}
    return {(device, time) for device, time in places if time < begin and device in devices}


def _unsettled(run: TierRun, made: Made, begin: datetime) -> set[tuple[str, datetime]]:
    """The windows before a stretch with incidents that the samples in it may have turned: none that is final, though
    the incident may be open for as long as nobody decides it."""
    if run.plan.window is None or run.plan.from_buckets or not run.spec.counters:
        return set()
    devices = {document["device_id"] for document in made.documents}
    found = unsettled(run.db[INCIDENTS], run.plan.datatype.name, devices, begin)
    windows = {(device, floor(time, run.plan.unit)) for device, time in found}
    return windows - final_among(run.output, windows)


def _begin_ledger(run: TierRun, begin: datetime | None, may_continue: MayContinue) -> bool:
    """Let the ledger begin with the tier, or before it. Returns whether the tier can begin.

    Where a tier begins after the first readings, a counter may have something open: a fall, or another unit, from long
    before. The ledger knows, so it catches up to there first.
    """
    if begin is None or run.watermark is not None or run.plan.window is None or not run.spec.counters:
        return True
    first = first_reading(run)
    if first is None or floor(first, run.plan.unit) >= begin:
        if run.ledger is not None and run.ledger.until is None:
            run.ledger.until = begin
        return True
    ledger = run if run.ledger is not None else _run_of_ledger(run)
    if ledger is None or ledger.ledger is None:
        return True
    end = ceil(begin, ledger.plan.unit)
    catch_up(ledger, may_continue, end=end)
    return ledger.ledger.until is not None and ledger.ledger.until >= end


def _run_of_ledger(run: TierRun) -> TierRun | None:
    """A run of the tier that writes the type's ledger; what it writes is made of readings, however far tiers are."""
    tier = ledger_tier(run.plan.datatype)
    plan = None if tier is None else find_plan(run.plan.datatype, tier.prefix, run.settings)
    if plan is None:
        return None
    start = RunStart(now=run.now, lists=run.lists)
    made = prepare(run.db, plan, run.settings, run.clock, ranges=run.ranges, start=start)
    return replace(made, target=done_before(made.now, plan.window))


def _begin(run: TierRun) -> datetime | None:
    """Where to go on: at the watermark, or at the first reading, of whatever device, so that ranges without any do not
    stay behind; None where there is nothing yet."""
    if run.watermark is not None:
        return max(run.watermark, run.kept_from)
    first = first_reading(run)
    return None if first is None else max(floor(first, run.plan.unit), run.kept_from)


def _skip_empty(run: TierRun, begin: datetime) -> datetime:
    """Over a stretch without readings, of whatever device, to the next one, or to where nothing is done yet."""
    first = first_reading(run, begin)
    first = run.target if first is None else min(first, run.target)
    return max(begin, floor(first, run.plan.unit))


def _compute_decided(run: TierRun, windows: set[tuple[str, datetime]], before: datetime) -> None:
    """Compute windows before this stretch, which begins at `before`, again: only it decided their last samples.

    And the windows between that go on from another register then.
    """
    by_start: defaultdict[datetime, set[str]] = defaultdict(set)
    for device, start in windows:
        by_start[start].add(device)
    done = set(windows)
    # All devices of a window at once: after each step it is the last window of many.
    while by_start:
        start = min(by_start)
        end = start + run.unit
        made = compute_apart(run, start, end, sorted(by_start.pop(start)), chain=run.plan.window is not None)
        for device, time in following(run, made.changed, end):
            if time < before:
                by_start[time].add(device)
                done.add((device, time))
    invalidate_next(run, done)
