"""Which documents tell what a register showed at a boundary, at the edge of what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from greenpower.mongo.energy.interval_plan import make_interval_plan
from greenpower.mongo.rollups.tier_view import TierView

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 23, 17, 13, tzinfo=UTC)
MIDNIGHT = datetime(2026, 10, 19, 18, 15, tzinfo=UTC)  # in Kathmandu


def tier_view(window: int | None, whole_from: datetime) -> TierView:
    done = None if window is None else NOW - timedelta(hours=7)
    name = "raw" if window is None else f"{window}s"
    return TierView(
        collection=name,
        resolution=name,
        window=window,
        kept_from=whole_from,
        whole_from=whole_from,
        done_until=done,
    )


def test_a_boundary_that_readings_lead_to_only_in_part_moves() -> None:
    """The readings are whole from two minutes before the boundary on, the windows of three hours end a quarter of an
    hour before it: what lies between is nowhere."""
    readings = tier_view(None, MIDNIGHT - timedelta(minutes=2))
    tiers = (tier_view(60, NOW - DAY), tier_view(10_800, NOW - 180 * DAY))
    intervals = make_interval_plan((readings, *tiers), [MIDNIGHT - DAY, MIDNIGHT, MIDNIGHT + DAY], NOW, DAY)
    boundaries = [boundary for interval in intervals for boundary in interval.boundaries]
    assert [boundary.at for boundary in boundaries] == [
        MIDNIGHT - DAY - timedelta(minutes=15),
        MIDNIGHT - timedelta(minutes=15),
        MIDNIGHT + DAY,
    ]
    begins = [interval.begin for interval in intervals]
    for interval, (begin, end) in zip(intervals, pairwise(begins), strict=False):
        edges = [(piece.begin, piece.end) for piece in interval.pieces]
        assert edges[0][0] == begin and edges[-1][1] == end
        assert all(left[1] == right[0] for left, right in pairwise(edges))
