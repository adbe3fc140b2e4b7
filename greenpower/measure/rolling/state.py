"""Rolling up states."""

from __future__ import annotations

from greenpower.datatype import Kind
from greenpower.measure.column import Column
from greenpower.measure.rolling.stretch import Places, RollStretch
from greenpower.measure.state import make_state


def roll_state(stretch: RollStretch, column: Column, places: Places) -> None:
    """Put the samples of a state into the buckets."""
    values, times = column.values, stretch.times
    for bucket, (a, b) in zip(stretch.result.buckets, places, strict=True):
        if a < b:
            bucket.put(column.name, Kind.STATE, make_state(values[a:b], (times[column.reading(b - 1)],)))
