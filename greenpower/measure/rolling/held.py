"""Rolling up gauges and angles: the blocks of each window, and the timing of the device's readings.

Fields that came with the same readings are worked on together, window by window: their times are looked at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from greenpower.datatype import Kind
from greenpower.measure.column import Column
from greenpower.measure.held_block import HELD_COLUMNS, HeldBlock, joined
from greenpower.measure.rolling.stretch import Places, RollStretch
from greenpower.measure.state import Number
from greenpower.measure.timing import Timing


def put_held(stretch: RollStretch, columns: Mapping[Kind, Sequence[Column]], length: int) -> None:
    """Put gauges and angles into the buckets. columns: by kind. length: of the windows, in seconds."""
    low, cuts = stretch.low, stretch.cuts
    readings = stretch.held_times.readings()
    every = [(i - low, j - low) for _, i, j in cuts]
    timings = readings.timings(every)
    found: list[list[HeldBlock]] = [[] for _ in cuts]
    groups: dict[tuple[int, ...] | None, dict[Kind, list[Column]]] = {}
    for kind, several in columns.items():
        for column in several:
            where = None if column.where is None else tuple(column.where)
            groups.setdefault(where, {}).setdefault(kind, []).append(column)
    for where, kinds in groups.items():
        track = readings if where is None else stretch.held_times.samples(where)
        if where is None:
            first, places, mine = low, every, timings
            if (before := stretch.held_times.before()) != readings.lead:
                mine = readings.after(before).timings(every)
        else:
            first = bisect_left(where, low)
            places = [(bisect_left(where, i) - first, bisect_left(where, j) - first) for _, i, j in cuts]
            mine = track.timings(places)
        for kind, several in kinds.items():
            _add_blocks(found, kind, several, first, track.held, places, mine)
    for bucket, timing, blocks in zip(stretch.result.buckets, timings, found, strict=True):
        bucket.put_blocks(timing, blocks if len(blocks) < 2 else joined(blocks), length, stretch.settled_before)


def _add_blocks(
    found: Sequence[list[HeldBlock]],
    kind: Kind,
    columns: Sequence[Column],
    first: int,
    held: Sequence[float],
    places: Places,
    timings: Sequence[Timing | None],
) -> None:
    """Add the block of each window. first: the first number of the stretch in the columns."""
    make = HELD_COLUMNS[kind]
    names = tuple(column.name for column in columns)
    series = [column.values for column in columns]
    # By reading, for windows of one sample: once for all of them, not value by value.
    rows: list[tuple[Number, ...]] = list(zip(*series, strict=True))
    for blocks, (begin, end), timing in zip(found, places, timings, strict=True):
        if timing is None:
            continue
        a, b = first + begin, first + end
        leads = None if timing.lead_until is None else rows[a - 1]
        if b - a == 1:
            made = make.of_one(rows[a], leads)
        else:
            made = make.of_several([values[a:b] for values in series], held[begin : end - 1], leads)
        blocks.append(HeldBlock(kind, names, timing, made))
