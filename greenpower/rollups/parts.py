"""Steps and parts: how a stretch of time is cut into what fits into memory.

A step is what is computed between two looks at the clock of a run; a part of it is what is in memory at once. Far
behind now, a step is a whole UTC day, and its parts are groups of devices: what is read around a stretch, and what is
written per device and day, is then done once per day. Near now a step is a few windows of all devices. What does not
belong here: computing a part (`compute`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from greenpower.measure.windows import floor
from greenpower.mongo.rollups.ranges import DEVICE_RANGES
from greenpower.mongo.rollups.source import count_within, devices_of
from greenpower.rollups.plan import TierSource
from greenpower.rollups.tier_run import TierRun

# Documents that are held in memory at once: readings, or buckets, which are several times as large.
MAX_READINGS_PER_PART = 60_000
MAX_BUCKETS_PER_PART = 8_000
MAX_DEVICES_PER_PART = 500
# A day with more readings than this is cut into shorter steps: a step is not stopped within.
MAX_READINGS_PER_STEP = 2_000_000
SECONDS_PER_DAY = 86_400
DAY = timedelta(seconds=SECONDS_PER_DAY)


class StepPart(NamedTuple):
    """A stretch of some devices, None for all, that fits into memory."""

    devices: Sequence[str] | None
    begin: datetime
    end: datetime


def end_of_step(run: TierRun, begin: datetime, end: datetime) -> datetime:
    """The end of the step that begins at `begin`: at least one window, `end` at most.

    A whole day, or up to its end, where the windows of that day are all done; else as many windows as fit into memory.
    """
    stretches = run.by_source(begin, end)
    if not stretches:
        return end
    source, _, end = stretches[0]
    # Of all devices is counted, and those of a range are as many as those of another.
    share = DEVICE_RANGES // len(run.ranges)
    most = _max_documents(source) * share
    most_of_day = MAX_READINGS_PER_STEP * share
    longest, midnight = end, floor(begin, SECONDS_PER_DAY) + DAY
    of_days = source.window is None or run.ledger is not None
    whole_day = of_days and midnight <= min(longest, run.target)
    if whole_day:
        count = _count(run, source, begin, midnight, most_of_day)
        if count > most:
            end = midnight
            while count == most_of_day and end - begin > run.unit:
                end = begin + max(1, (end - begin) // run.unit // 2) * run.unit
                count = _count(run, source, begin, end, most_of_day)
            return end
    while end - begin > run.unit and _count(run, source, begin, end, most + 1) > most:
        end = begin + max(1, (end - begin) // run.unit // 2) * run.unit
    if end == longest or not of_days:
        return end
    if end >= midnight:
        return floor(end, SECONDS_PER_DAY)
    return midnight if whole_day else end


def cut(
    run: TierRun,
    source: TierSource,
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None,
    *,
    fresh: bool = False,
) -> Iterator[StepPart]:
    """The parts of a stretch. devices: None for all of the run's ranges. fresh: nothing of it was computed before."""
    most = _max_documents(source)
    if devices is None:
        if run.is_whole and _count(run, source, begin, end, most + 1) <= most:
            yield StepPart(None, begin, end)
            return
        devices = _devices(run, source, fresh=fresh)
    first, size = 0, MAX_DEVICES_PER_PART
    while first < len(devices):
        group = devices[first : first + size]
        count = _count(run, source, begin, end, most + 1, group)
        if count > most and len(group) > 1:
            size = len(group) // 2
            continue
        if count > most and end - begin > run.unit:
            half = begin + max(1, (end - begin) // run.unit // 2) * run.unit
            for since, until in pairwise((begin, half, end)):
                yield from cut(run, source, since, until, group)
        else:
            yield StepPart(group, begin, end)
        first += len(group)
        if 2 * count <= most:
            size = min(2 * size, MAX_DEVICES_PER_PART)


def _devices(run: TierRun, source: TierSource, *, fresh: bool) -> list[str]:
    """The run's devices that are in the source; where there may be some, those as well that only have buckets left, so
    that these go."""
    if run.is_whole:
        found: Iterable[str] = devices_of(run.db[source.collection])
        return sorted(found if fresh else {*found, *devices_of(run.output)})
    found = run.lists.of(source.collection, run.ranges)
    return sorted(found if fresh else {*found, *run.lists.of(run.output.name, run.ranges)})


def _count(
    run: TierRun, source: TierSource, begin: datetime, end: datetime, limit: int, devices: Sequence[str] | None = None
) -> int:
    return count_within(run.db[source.collection], begin, end, limit, devices=devices)


def _max_documents(source: TierSource) -> int:
    return MAX_READINGS_PER_PART if source.window is None else MAX_BUCKETS_PER_PART
