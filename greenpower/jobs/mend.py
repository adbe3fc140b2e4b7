"""Mending a tier: computing again what is marked, and marking the next tier before a mark is removed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from pymongo.errors import AutoReconnect

from greenpower.jobs.tier import TierRun
from greenpower.rollup.sift import AHEAD
from greenpower.rollup.window import HOUR, floor, spans, starts
from greenpower.store.marks import Mark, read_marks, unmark
from greenpower.store.source import READING, by_device, neighbours

log = logging.getLogger(__name__)

BATCH = 300
Keep = Callable[[], bool]


def mend(run: TierRun, keep: Keep = lambda: True) -> None:
    """Do what marks ask for, those that have waited longest first. keep: asked between devices whether to go on.

    A device whose computation fails keeps its marks and does not stop the others. Raises AutoReconnect where the
    database is away.
    """
    skip = 0
    while True:
        marks = read_marks(run.marks, run.plan.datatype.name, run.plan.tier.prefix, BATCH, skip)
        by_device: defaultdict[str, list[Mark]] = defaultdict(list)
        for mark in marks:
            by_device[mark.place.device_id].append(mark)
        for device, several in by_device.items():
            try:
                windows = _compute(run, device, [mark.place.hour for mark in several])
            except AutoReconnect:
                raise
            except Exception:
                log.exception("%s: %s could not be computed again", run.plan.name, device)
                run.counts.failed += len(several)
                skip += len(several)
                continue
            run.pass_on((device, time) for time in windows.union(mark.place.hour for mark in several))
            unmark(run.marks, several)
            run.counts.marks += len(several)
            if not keep():
                return
        if len(marks) < BATCH:
            return


def _compute(run: TierRun, device: str, hours: list[datetime]) -> set[datetime]:
    """Compute the windows of some hours of a device, and those whose counters these may change; return their starts."""
    unit = run.plan.unit
    windows = {start for hour in hours for start in starts(hour, hour + timedelta(seconds=HOUR), unit)}
    windows = {start for start in windows if start >= run.kept_from}
    if not run.plan.from_buckets and run.plan.window is not None and run.work.spec.counters:
        for begin, end in spans(windows, unit):
            windows |= {floor(time, unit) for time in _around(run, device, begin, end)}
        windows = {start for start in windows if start >= run.kept_from}
    for begin, end in spans(windows, unit):
        run.compute(begin, end, [device])
    return windows


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
