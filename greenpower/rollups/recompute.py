"""Mending a tier: computing again what is marked, and marking the next tier before a mark is removed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pymongo.errors import AutoReconnect

from greenpower.measure.counter.dip_filter import AHEAD
from greenpower.measure.window import HOUR, floor, spans, starts
from greenpower.mongo.rollups.invalidations import Invalidation, read_invalidations, remove_invalidations
from greenpower.mongo.rollups.source import READING, by_device, neighbours
from greenpower.rollups.tier_run import TierRun

log = logging.getLogger(__name__)

BATCH = 10_000
Keep = Callable[[], bool]
Spans = tuple[tuple[datetime, datetime], ...]


def recompute(run: TierRun, keep: Keep = lambda: True) -> None:
    """Do what marks ask for, those that have waited longest first. keep: asked between steps whether to go on.

    A device whose computation fails keeps its marks and does not stop the others. Raises AutoReconnect where the
    database is away.
    """
    skip = 0
    while True:
        invalidations = read_invalidations(run.invalidations, run.plan.datatype.name, run.plan.tier.prefix, BATCH, skip)
        by_device: defaultdict[str, list[Invalidation]] = defaultdict(list)
        for mark in invalidations:
            by_device[mark.place.device_id].append(mark)
        alike: defaultdict[Spans, list[str]] = defaultdict(list)
        for device, several in by_device.items():
            alike[tuple(_spans(run, device, (mark.place.hour for mark in several)))].append(device)
        for stretches, devices in alike.items():
            failed = _compute(run, stretches, devices)
            done = [mark for device in devices if device not in failed for mark in by_device[device]]
            places = {(mark.place.device_id, mark.place.hour) for mark in done}
            for begin, end in stretches:
                places |= {(device, start) for start in starts(begin, end, run.plan.unit) for device in devices}
            run.pass_on(place for place in places if place[0] not in failed)
            remove_invalidations(run.invalidations, done)
            run.counts.invalidations += len(done)
            left = sum(len(by_device[device]) for device in failed)
            run.counts.failed += left
            skip += left
            if not keep():
                return
        if len(invalidations) < BATCH:
            return


def _compute(run: TierRun, stretches: Spans, devices: list[str]) -> set[str]:
    """Compute stretches of devices; where it fails, of each alone. Returns those that it fails for."""
    try:
        for begin, end in stretches:
            run.compute(begin, end, devices)
    except AutoReconnect:
        raise
    except Exception:
        if len(devices) == 1:
            log.exception("%s: %s could not be computed again", run.plan.name, devices[0])
            return set(devices)
        return {device for device in devices if _compute(run, stretches, [device])}
    return set()


def _spans(run: TierRun, device: str, hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """The windows of some hours of a device, and those whose counters these may change, as stretches."""
    unit = run.plan.unit
    windows = {start for hour in hours for start in starts(hour, hour + timedelta(seconds=HOUR), unit)}
    windows = {start for start in windows if start >= run.kept_from}
    if not run.plan.from_buckets and run.plan.window is not None and run.work.spec.counters:
        for begin, end in spans(windows, unit):
            windows |= {floor(time, unit) for time in _around(run, device, begin, end)}
        windows = {start for start in windows if start >= run.kept_from}
    return spans(windows, unit)


def _around(run: TierRun, device: str, begin: datetime, end: datetime) -> set[datetime]:
    """The times of the samples on both sides of a stretch that what is in it may have decided."""
    pieces = run.pieces(begin, end)
    if not pieces:
        return set()
    readings = run.db[pieces[0][0].collection]
    present = {
        name
        for reading in by_device(readings, begin, end, [device], READING).get(device, ())
        for name in reading["payload"]
    }
    times: set[datetime] = set()
    for edge, before in ((begin, True), (end, False)):
        near = neighbours(readings, device, edge, AHEAD, before=before)
        times.update(reading["timestamp"] for reading in near)
        names = (present or {name for reading in near for name in reading["payload"]}) & run.work.spec.counters
        for name in names:
            if len(near) == AHEAD and not all(name in reading["payload"] for reading in near):
                far = neighbours(readings, device, edge, AHEAD, before=before, field=name)
                times.update(reading["timestamp"] for reading in far)
    return times
