"""Range groups: which device ranges of a tier are computed together.

Small types are computed as one group of all ranges, whose devices nobody has to list. Where several workers share a
large type, each takes a group at a time. Ranges of a group that are not equally far, because one of them failed, are
computed one after the other until they are. What belongs here: which ranges go together. What does not: how far they
are (`greenpower.mongo.rollups.watermarks`), computing them (`run`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from greenpower.catalog.facts import ledger_tier
from greenpower.measure.windows import done_before, floor
from greenpower.mongo.rollups.ranges import DEVICE_RANGES, Ranges
from greenpower.mongo.rollups.watermarks import EPOCH, Progress
from greenpower.mongo.schema.layout import INTERVALS
from greenpower.rollups.plan import TierPlan, TierSource

# Up to so many devices a worker has done a run sooner than another one could help.
MAX_DEVICES_IN_ONE_GROUP = 2_000
# Besides two groups for each worker, so that one that is slower does less.
MAX_DEVICES_PER_GROUP = 4_000
# More make no further groups.
MAX_DEVICES_COUNTED = DEVICE_RANGES * MAX_DEVICES_PER_GROUP

Progresses = Mapping[str, Progress]  # by prefix


def split(devices: int, workers: int) -> list[Ranges]:
    """The groups of a type with so many devices: one where sharing is not worth it, else a power of two of them, as far
    as there are ranges at least two for each worker."""
    if workers < 2 or devices <= MAX_DEVICES_IN_ONE_GROUP:
        return [frozenset(range(DEVICE_RANGES))]
    groups = 2
    while groups < DEVICE_RANGES and (groups < 2 * workers or groups * MAX_DEVICES_PER_GROUP < devices):
        groups *= 2
    size = DEVICE_RANGES // groups
    return [frozenset(range(first, first + size)) for first in range(0, DEVICE_RANGES, size)]


def usable_sources(plan: TierPlan, ranges: Ranges, progress: Progresses) -> tuple[TierSource, ...]:
    """The sources of a tier that are as far as the tier itself: what is behind it is being made anew, and not whole
    yet."""
    done = progress[plan.tier.prefix].reached(ranges) or EPOCH
    return tuple(
        source
        for source in plan.sources
        if not source.prefix or (progress[source.prefix].reached(ranges) or EPOCH) >= done
    )


def target_of(plan: TierPlan, below: TierSource, ranges: Ranges, progress: Progresses, now: datetime) -> datetime:
    """Windows that end then or before are done: their grace is over, and so are those that they are merged from."""
    target = done_before(now, plan.window)
    if below.window is None:
        return target
    return min(target, floor(progress[below.prefix].reached(ranges) or EPOCH, plan.unit))


def alike(plan: TierPlan, ranges: Ranges, progress: Progresses, now: datetime) -> list[Ranges]:
    """Some ranges by what can be done with them at once: those that are equally far and can go on equally far. The ones
    that are farthest come first."""
    if not any(found.ranges for found in progress.values()):
        return [ranges]
    found: defaultdict[tuple[Any, ...], set[int]] = defaultdict(set)
    for number in ranges:
        found[_state(plan, number, progress, now)].add(number)
    return [frozenset(found[state]) for state in sorted(found, reverse=True)]


def _state(plan: TierPlan, number: int, progress: Progresses, now: datetime) -> tuple[Any, ...]:
    one = frozenset((number,))
    sources = usable_sources(plan, one, progress)
    ledger = EPOCH
    if ledger_tier(plan.datatype) == plan.tier:
        ledger = progress[INTERVALS].reached(one) or EPOCH
    return (
        progress[plan.tier.prefix].reached(one) or EPOCH,
        ledger,
        target_of(plan, sources[0], one, progress, now),
        tuple(source.prefix for source in sources),
    )


def alone(ranges: Iterable[int]) -> list[Ranges]:
    """Each range by itself."""
    return [frozenset((number,)) for number in sorted(ranges)]
