"""Which device ranges of a tier are computed together. Without any server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from greenpower.config import Settings
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges
from greenpower.mongo.rollups.watermarks import Progress, RangeProgress
from greenpower.mongo.schema.layout import INTERVALS
from greenpower.rollups.plan import TierPlan, make_plans
from greenpower.rollups.range_groups import alike, split, target_of, usable_sources
from tests.rollups.conftest import T0
from tests.rollups.world import POWER

MINUTE = timedelta(minutes=1)
NOW = T0 + timedelta(hours=3, seconds=90)
PLANS = make_plans(POWER, Settings(_env_file=None))  # type: ignore[call-arg]


def progresses(**reached: Mapping[int, datetime] | datetime) -> dict[str, Progress]:
    """The progress of the tiers and the ledger: a watermark for all, or those of single ranges."""
    found = {name: Progress(type="power", prefix=name) for name in ("", INTERVALS, *(p.tier.prefix for p in PLANS))}
    for prefix, given in reached.items():
        if isinstance(given, datetime):
            found[prefix] = Progress(type="power", prefix=prefix, watermark=given)
        else:
            ranges = {number: RangeProgress(watermark=time) for number, time in given.items()}
            found[prefix] = Progress(type="power", prefix=prefix, watermark=T0, ranges=ranges)
    return found


def plan_of(prefix: str) -> TierPlan:
    return next(plan for plan in PLANS if plan.tier.prefix == prefix)


@pytest.mark.parametrize(
    ("devices", "workers", "groups"),
    [(2_000, 8, 1), (100_000, 1, 1), (2_001, 2, 4), (2_001, 3, 8), (20_000, 2, 8), (64_000, 2, 16), (2_001, 20, 16)],
)
def test_groups_are_for_large_types_and_several_workers(devices: int, workers: int, groups: int) -> None:
    found = split(devices, workers)
    assert len(found) == groups
    assert len({len(group) for group in found}) == 1
    assert sorted(number for group in found for number in group) == sorted(ALL_RANGES)


def test_ranges_go_together_where_none_is_apart() -> None:
    for known in (progresses(), progresses(today_=T0), progresses(today_={3: T0})):
        assert alike(plan_of("today_"), ALL_RANGES, known, NOW) == [ALL_RANGES]


def test_the_farthest_ranges_come_first() -> None:
    """A range that has much to make up for does not keep the others waiting."""
    known = progresses(today_={number: T0 + MINUTE * (9 if number < 4 else 7) for number in range(15)})
    low, high = frozenset(range(4)), frozenset(range(4, 15))
    assert alike(plan_of("today_"), ALL_RANGES, known, NOW) == [low, high, frozenset((15,))]
    assert alike(plan_of("today_"), low, known, NOW) == [low]


def test_ranges_that_can_go_on_equally_far_go_together() -> None:
    """The tier below has done three windows of ten minutes of some ranges and two of the others."""
    below = {number: T0 + MINUTE * (31 + number if number < 8 else 29) for number in ALL_RANGES}
    known = progresses(today_=below, last_7_days_=T0)
    plan, halves = plan_of("last_7_days_"), (frozenset(range(8)), frozenset(range(8, 16)))
    assert alike(plan, ALL_RANGES, known, NOW) == [*halves]
    targets = [target_of(plan, plan.sources[0], half, known, NOW) for half in halves]
    assert targets == [T0 + 30 * MINUTE, T0 + 20 * MINUTE]


def test_what_a_range_is_computed_from_is_as_far_as_the_range() -> None:
    known = progresses(today_={number: T0 + MINUTE for number in range(8)}, last_7_days_={5: T0 + 20 * MINUTE})
    plan = plan_of("last_7_days_")
    equal: Ranges = frozenset((4,))
    assert usable_sources(plan, equal, known) == plan.sources
    behind: Ranges = frozenset((5,))
    assert [source.prefix for source in usable_sources(plan, behind, known)] == [""]
