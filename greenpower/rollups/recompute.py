"""Recomputing what was invalidated, and invalidating the next tier before an invalidation is removed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pymongo.errors import AutoReconnect

from greenpower.measure.counter.dip_filter import SAMPLES_AHEAD
from greenpower.measure.windows import HOUR, floor, spans, starts
from greenpower.mongo.rollups.invalidations import Invalidation, read_invalidations, remove_invalidations
from greenpower.mongo.rollups.source import READING, by_device, neighbours
from greenpower.rollups.compute import compute, invalidate_next
from greenpower.rollups.tier_run import MayContinue, TierRun, always

log = logging.getLogger(__name__)

INVALIDATIONS_PER_BATCH = 10_000

Stretches = tuple[tuple[datetime, datetime], ...]
ByDevice = dict[str, list[Invalidation]]


def recompute(run: TierRun, may_continue: MayContinue = always) -> None:
    """Compute what is invalidated, what has waited longest first. may_continue: asked between steps.

    A device whose computation fails keeps its invalidations and does not stop the others. Raises AutoReconnect where
    the database is away.
    """
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    skip = 0
    while True:
        batch = read_invalidations(run.invalidations, name, prefix, INVALIDATIONS_PER_BATCH, skip)
        failed, stopped = _recompute(run, batch, may_continue)
        run.counts.failed += failed
        if stopped or len(batch) < INVALIDATIONS_PER_BATCH:
            return
        skip += failed


def _recompute(run: TierRun, batch: Iterable[Invalidation], may_continue: MayContinue) -> tuple[int, bool]:
    """Do a batch of invalidations. Returns how many failed, and whether the run is to stop."""
    by_device: ByDevice = defaultdict(list)
    for invalidation in batch:
        by_device[invalidation.place.device_id].append(invalidation)
    alike, failed = _alike(run, by_device)
    stopped = False
    for stretches, devices in alike.items():
        failed_now = _compute(run, stretches, devices)
        _settle(run, {device: by_device[device] for device in devices if device not in failed_now}, stretches)
        failed |= failed_now
        if not may_continue():
            stopped = True
            break
    return sum(len(by_device[device]) for device in failed), stopped


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
    for begin, end in stretches:
        places |= {(device, start) for start in starts(begin, end, run.plan.unit) for device in done}
    invalidate_next(run, places)
    remove_invalidations(run.invalidations, invalidations)
    run.counts.invalidations += len(invalidations)


def _compute(run: TierRun, stretches: Stretches, devices: Sequence[str]) -> set[str]:
    """Compute stretches of devices; where it fails, of each alone. Returns those that it fails for."""
    try:
        for begin, end in stretches:
            compute(run, begin, end, devices)
    except AutoReconnect:
        raise
    except Exception:
        if len(devices) == 1:
            log.exception("%s: %s could not be computed again", run.plan.name, devices[0])
            return set(devices)
        return {device for device in devices if _compute(run, stretches, [device])}
    return set()


def _stretches(run: TierRun, device: str, hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """The windows of some hours of a device, and those whose counters these may change, as stretches."""
    unit = run.plan.unit
    windows = {start for hour in hours for start in starts(hour, hour + timedelta(seconds=HOUR), unit)}
    windows = {start for start in windows if start >= run.kept_from}
    if not run.plan.from_buckets and run.plan.window is not None and run.spec.counters:
        for begin, end in spans(windows, unit):
            windows |= {floor(time, unit) for time in _around(run, device, begin, end)}
        windows = {start for start in windows if start >= run.kept_from}
    return spans(windows, unit)


def _around(run: TierRun, device: str, begin: datetime, end: datetime) -> set[datetime]:
    """The times of the samples on both sides of a stretch that what is in it may have decided."""
    stretches = run.by_source(begin, end)
    if not stretches:
        return set()
    readings = run.db[stretches[0][0].collection]
    present = {
        name
        for reading in by_device(readings, begin, end, [device], READING).get(device, ())
        for name in reading["payload"]
    }
    times: set[datetime] = set()
    for edge, before in ((begin, True), (end, False)):
        near = neighbours(readings, device, edge, SAMPLES_AHEAD, before=before)
        times.update(reading["timestamp"] for reading in near)
        names = (present or {name for reading in near for name in reading["payload"]}) & run.spec.counters
        for name in names:
            if len(near) == SAMPLES_AHEAD and not all(name in reading["payload"] for reading in near):
                far = neighbours(readings, device, edge, SAMPLES_AHEAD, before=before, field=name)
                times.update(reading["timestamp"] for reading in far)
    return times
