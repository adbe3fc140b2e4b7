"""Recomputing what was invalidated, and invalidating the next tier before an invalidation is removed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import AutoReconnect

from greenpower.measure.windows import HOUR, floor, spans, starts
from greenpower.mongo.rollups.hours import first_window_tier
from greenpower.mongo.rollups.invalidations import (
    Invalidation,
    Place,
    invalidate,
    read_invalidations,
    remove_invalidations,
)
from greenpower.rollups.compute import compute, invalidate_next, revisited
from greenpower.rollups.ends import following
from greenpower.rollups.surroundings import find_affected, find_held
from greenpower.rollups.tier_run import MayContinue, TierRun, always

log = logging.getLogger(__name__)

INVALIDATIONS_PER_BATCH = 10_000

# (begin, end, whether its counters may be others than before): windows that are computed for their means alone lead to
# no further ones.
Stretches = tuple[tuple[datetime, datetime, bool], ...]
ByDevice = dict[str, list[Invalidation]]
# (device, window) that has to be computed again because of what was.
Chain = set[tuple[str, datetime]]


def recompute(run: TierRun, may_continue: MayContinue = always) -> None:
    """Compute what is invalidated, what has waited longest first. may_continue: asked between steps.

    A device whose computation fails keeps its invalidations and does not stop the others. Raises AutoReconnect where
    the database is away.
    """
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    skip = 0
    settled: Chain = set()
    while True:
        batch = read_invalidations(run.invalidations, name, prefix, INVALIDATIONS_PER_BATCH, skip, run.ranges)
        if not batch:
            return
        # What operators decided since the run began has set invalidations of this batch.
        done = _recompute(run.reread_rules(), batch, settled, may_continue)
        if done.stopped or (len(batch) < INVALIDATIONS_PER_BATCH and not done.chained):
            return
        skip += done.failed


@dataclass(slots=True)
class _Done:
    """What became of a batch. failed: invalidations. stopped: the run is to stop. chained: further ones were set."""

    failed: int = 0
    stopped: bool = False
    chained: bool = False


def _recompute(run: TierRun, batch: Iterable[Invalidation], settled: Chain, may_continue: MayContinue) -> _Done:
    """Do a batch of invalidations."""
    by_device: ByDevice = defaultdict(list)
    for invalidation in batch:
        by_device[invalidation.place.device_id].append(invalidation)
    alike, failed = _alike(run, by_device)
    done = _Done()
    for stretches, devices in alike.items():
        chain: Chain = set()
        failed_now = _compute(run, stretches, devices, chain, settled)
        # What this tier no longer keeps is for those above, which may be made from readings there.
        gone = {(device, time) for device, time in chain if time < run.computed_from}
        invalidate_next(run, gone)
        chain -= gone
        done.chained |= _follow(run, chain)
        _settle(run, {device: by_device[device] for device in devices if device not in failed_now}, stretches)
        failed |= failed_now
        if not may_continue():
            done.stopped = True
            break
    done.failed = sum(len(by_device[device]) for device in failed)
    run.counts.fail(failed, done.failed)
    return done


def _follow(run: TierRun, chain: Chain) -> bool:
    """Invalidate what has to be computed again after a change. Returns whether any of it is this tier's.

    A change before the retention of finer tiers leads into windows that these have, too: the finest one goes on with
    it, and what is made from buckets is left to it.
    """
    name, own = run.plan.datatype.name, run.plan.tier.prefix
    first = first_window_tier(run.plan.datatype) or own
    places = set()
    for device, time in chain:
        sources = run.by_source(time, time + run.unit)
        from_buckets = bool(sources) and sources[-1][0].window is not None
        places |= {Place.of(name, prefix, device, time) for prefix in {first, first if from_buckets else own}}
    if places:
        invalidate(run.invalidations, places)
    return any(place.prefix == own for place in places)


def _alike(run: TierRun, by_device: ByDevice) -> tuple[dict[Stretches, list[str]], set[str]]:
    """Devices by the stretches that are to be computed: those alike are computed together. And those that failed."""
    alike: defaultdict[Stretches, list[str]] = defaultdict(list)
    failed = set()
    for device, invalidations in by_device.items():
        try:
            stretches = tuple(_stretches(run, device, (one.place.hour for one in invalidations)))
        except AutoReconnect:
            raise
        except Exception:
            log.exception("%s: what to compute again of %s could not be found", run.plan.name, device)
            failed.add(device)
        else:
            alike[stretches].append(device)
    return alike, failed


def _settle(run: TierRun, done: ByDevice, stretches: Stretches) -> None:
    """Invalidate the next tier where devices were computed again, then remove what asked for it."""
    invalidations = [one for several in done.values() for one in several]
    places = {(one.place.device_id, one.place.hour) for one in invalidations}
    for begin, end, _ in stretches:
        places |= {(device, start) for start in starts(begin, end, run.plan.unit) for device in done}
    invalidate_next(run, places)
    remove_invalidations(run.invalidations, invalidations)
    run.counts.invalidations += len(invalidations)


def _compute(run: TierRun, stretches: Stretches, devices: Sequence[str], chain: Chain, settled: Chain) -> set[str]:
    """Compute stretches of devices; where it fails, of each alone. Returns those that it fails for.

    chain: gets what has to be computed again because of that. settled: what was already computed again only because it
    was not final; nothing that a run reads changes meanwhile, so once is enough, and runs come to an end.
    """
    try:
        for begin, end, counted in stretches:
            made = compute(run, begin, end, devices, chain=counted and run.plan.window is not None)
            if not counted:
                continue
            must, settle = revisited(run, made)
            ahead = following(run, made.changed, end) | must | (settle - settled)
            settled |= settle
            # The ends of windows that are computed for their means alone are not looked at: where counters before them
            # changed, they come again.
            chain |= {
                (device, time) for device, time in ahead if not any(b <= time < e for b, e, own in stretches if own)
            }
    except AutoReconnect:
        raise
    except Exception:
        if len(devices) == 1:
            log.exception("%s: %s could not be computed again", run.plan.name, devices[0])
            return set(devices)
        return {device for device in devices if _compute(run, stretches, [device], chain, settled)}
    return set()


def _stretches(run: TierRun, device: str, hours: Iterable[datetime]) -> list[tuple[datetime, datetime, bool]]:
    """The windows of some hours of a device, and those around that these may change, as stretches."""
    unit, kept_from = run.plan.unit, run.computed_from
    invalid = {start for hour in hours for start in starts(hour, hour + timedelta(seconds=HOUR), unit)}
    windows = {start for start in invalid if start >= kept_from}
    held: set[datetime] = set()
    if run.plan.window is not None:
        for begin, end in spans(invalid, unit):
            held |= {floor(time, unit) for time in find_held(run, device, begin, end)}
        if run.spec.counters:
            for begin, end in spans(windows, unit):
                windows |= {floor(time, unit) for time in find_affected(run, device, begin, end)}
        windows = {start for start in windows if start >= kept_from}
        held = {start for start in held - windows if start >= kept_from}
    return sorted([(*span, True) for span in spans(windows, unit)] + [(*span, False) for span in spans(held, unit)])
