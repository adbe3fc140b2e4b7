"""The interval plan: which documents tell what a register showed at some boundaries. Pure.

`greenpower.mongo.energy.consumption` reads them.

A chain of pieces runs over a grid, each interval read from the coarsest tier that has it. Where a boundary lies within
an interval, finer pieces lead from the interval's start to it. Where nothing fine enough is left, the boundary moves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenpower.measure.windows import ceil, floor
from greenpower.mongo.rollups.tier_view import TierView

TICK = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch `[begin, end)` and where it is read: one window of a tier, or readings."""

    tier_view: TierView
    begin: datetime
    end: datetime


@dataclass(slots=True, kw_only=True)
class Boundary:
    """A boundary. asked: where it should be. at: where the register is read; None where nothing is left of that time.

    source: the resolution that made it move, empty where it did not. pieces: from its interval's start to it. here: the
    piece that begins with it, whose first sample may lie on it.
    """

    asked: datetime
    at: datetime | None
    source: str = ""
    pieces: list[Piece] = field(default_factory=list)
    here: Piece | None = None


@dataclass(slots=True)
class PlanInterval:
    """An interval of the grid: the boundaries within it, and the pieces that lead over it."""

    begin: datetime
    boundaries: list[Boundary] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)


def make_interval_plan(
    tier_views: Sequence[TierView], asked: Sequence[datetime], now: datetime, shortest: timedelta
) -> list[PlanInterval]:
    """The intervals for boundaries in order, and one interval before them. shortest: the least time between two."""
    readings, *tiers = tier_views
    tiers = [tier for tier in tiers if tier.window is not None and timedelta(seconds=tier.window) <= shortest]
    boundaries = [_make_boundary(readings, tiers, boundary, now) for boundary in asked]
    known = [boundary.at for boundary in boundaries if boundary.at is not None]
    if not known:
        return [PlanInterval(asked[0], boundaries)]
    intervals = [PlanInterval(begin) for begin in _grid(known, tiers, shortest)]
    begins = [interval.begin for interval in intervals]
    for boundary in boundaries:
        number = 0 if boundary.at is None else bisect_right(begins, boundary.at) - 1
        interval = intervals[number]
        interval.boundaries.append(boundary)
        if boundary.at is None:
            continue
        limit = begins[number + 1] if number + 1 < len(begins) else boundary.at + shortest
        boundary.pieces = list(_lead(readings, tiers, interval.begin, boundary.at))
        if boundary.pieces and boundary.pieces[-1].tier_view.window is None:
            last = boundary.pieces.pop()
            boundary.pieces.append(Piece(last.tier_view, last.begin, boundary.at + TICK))
        else:
            boundary.here = next(_lead(readings, tiers, boundary.at, limit), None)
            if boundary.here is not None and boundary.here.tier_view.window is None:
                boundary.here = Piece(readings, boundary.at, boundary.at + TICK)
    for interval, after in zip(intervals, begins[1:], strict=False):
        interval.pieces = list(_lead(readings, tiers, interval.begin, after))
    return list(_joined(intervals))


def _joined(intervals: Sequence[PlanInterval]) -> Iterator[PlanInterval]:
    """Intervals, those without boundaries that only continue the readings of the one before made one with it."""
    last: PlanInterval | None = None
    for interval in intervals:
        if last is not None and not interval.boundaries and len(last.pieces) == len(interval.pieces) == 1:
            before, after = last.pieces[0], interval.pieces[0]
            if before.tier_view is after.tier_view and before.tier_view.window is None and before.end == after.begin:
                last.pieces = [Piece(before.tier_view, before.begin, after.end)]
                continue
        if last is not None:
            yield last
        last = interval
    if last is not None:
        yield last


def _grid(known: Sequence[datetime], tiers: Sequence[TierView], shortest: timedelta) -> list[datetime]:
    """Where intervals begin: at whole windows of the coarsest tier, or, without tiers, at the boundaries."""
    if not tiers or tiers[-1].window is None:
        return sorted({known[0] - shortest, *known})
    window = tiers[-1].window
    step = timedelta(seconds=window)
    begin, last = floor(known[0], window) - step, floor(known[-1], window)
    return [begin + number * step for number in range((last - begin) // step + 1)]


def _make_boundary(readings: TierView, tiers: Sequence[TierView], asked: datetime, now: datetime) -> Boundary:
    # Boundaries are whole seconds.
    at = min(asked, now.replace(microsecond=0) + SECOND)
    # Readings lead to a boundary from where a window ends that is still there, so they must be whole from that on.
    starts = [floor(at, tier.window) for tier in tiers if tier.window is not None]
    there = (start for tier, start in zip(tiers, starts, strict=True) if tier.whole_from <= start)
    if readings.whole_from <= next(there, starts[0] if starts else at):
        return Boundary(asked=asked, at=at)
    for tier in tiers:
        assert tier.window is not None
        if tier.whole_from <= floor(at, tier.window):
            nearest = floor(at + timedelta(seconds=tier.window) / 2, tier.window)
            return Boundary(asked=asked, at=nearest, source="" if nearest == at else tier.resolution)
    return Boundary(asked=asked, at=None)


def _lead(readings: TierView, tiers: Sequence[TierView], begin: datetime, end: datetime) -> Iterator[Piece]:
    """The pieces from one time to another, the coarsest that fit. What nothing whole is left of is passed over."""
    here = begin
    raw_from: datetime | None = None
    while here < end:
        piece = next((found for tier in reversed(tiers) if (found := _window(tier, here, end)) is not None), None)
        if piece is None:
            there = min((time for tier in tiers if (time := _next(tier, here, end)) is not None), default=end)
            if raw_from is None and readings.whole_from <= here:
                raw_from = here
            here = there
            continue
        if raw_from is not None:
            yield Piece(readings, raw_from, here)
            raw_from = None
        yield piece
        here = piece.end
    if raw_from is not None:
        yield Piece(readings, raw_from, end)


def _next(tier: TierView, after: datetime, end: datetime) -> datetime | None:
    """Where the next window of a tier that can be used begins, behind a time."""
    assert tier.window is not None
    begin = ceil(max(after + TICK, tier.whole_from), tier.window)
    return None if _window(tier, begin, end) is None else begin


def _window(tier: TierView, begin: datetime, end: datetime) -> Piece | None:
    """The window of a tier that begins at a time, where it is over before `end`, done and still there."""
    assert tier.window is not None
    after = begin + timedelta(seconds=tier.window)
    if after > end or tier.done_until is None or after > tier.done_until or begin < tier.whole_from:
        return None
    return Piece(tier, begin, after) if floor(begin, tier.window) == begin else None
