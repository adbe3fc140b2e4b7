"""How far device ranges are behind. Without any server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenpower.mongo.rollups.lag import RangeLag, range_lags
from greenpower.mongo.rollups.ranges import ALL_RANGES
from greenpower.mongo.rollups.watermarks import Progress, RangeProgress

T0 = datetime(2026, 11, 20, tzinfo=UTC)
NOW = T0 + timedelta(hours=3)
WATERMARK = T0 + timedelta(hours=1)


def progress(**ranges: RangeProgress) -> Progress:
    found = {int(digit[1:], 16): apart for digit, apart in ranges.items()}
    return Progress(type="power", prefix="today_", watermark=WATERMARK, ranges=found)


def test_nothing_is_told_of_ranges_that_are_equally_far() -> None:
    assert range_lags(progress(), 60, NOW) == ()
    assert range_lags(Progress(type="power", prefix="today_"), 60, NOW) == ()
    assert range_lags(progress(r3=RangeProgress(watermark=T0, ran_at=NOW, round="r")), 60, NOW) == ()


def test_the_ranges_that_hold_a_tier_back_are_told_first() -> None:
    ahead = {f"r{number:x}": RangeProgress(watermark=T0 + timedelta(hours=2)) for number in ALL_RANGES - {3, 10}}
    stuck = RangeProgress(error="KeyError: 'payload'")
    behind, failed, others = range_lags(progress(**ahead, r3=stuck), 60, NOW)
    assert behind == RangeLag(ranges=frozenset((10,)), watermark=WATERMARK, behind=7_140.0, error="")
    assert failed == RangeLag(ranges=frozenset((3,)), watermark=WATERMARK, behind=7_140.0, error="KeyError: 'payload'")
    assert (others.ranges, others.behind) == (ALL_RANGES - {3, 10}, 3_540.0)


def test_a_range_that_was_never_computed_is_told() -> None:
    known = Progress(type="power", prefix="today_", ranges={3: RangeProgress(watermark=T0)})
    never, one = range_lags(known, 60, NOW)
    assert (never.ranges, never.watermark, never.behind) == (ALL_RANGES - {3}, None, None)
    assert one.watermark == T0
