"""Rolling up enumerations: how long each code held in each window."""

from __future__ import annotations

from greenpower.datatype import Kind
from greenpower.measure.column import Column
from greenpower.measure.enumeration import CodeSample, make_enumeration
from greenpower.measure.rolling.stretch import Places, RollStretch


def roll_enumeration(stretch: RollStretch, column: Column, places: Places) -> None:
    """Put the samples of an enumeration into the buckets."""
    codes = stretch.spec.codes[column.name]
    samples = _samples(stretch, column, places[-1][1])
    for bucket, (a, b) in zip(stretch.result.buckets, places, strict=True):
        if a < b:
            state = make_enumeration(samples[a:b], codes, samples[a - 1] if a else None)
            bucket.put(column.name, Kind.ENUMERATION, state)


def _samples(stretch: RollStretch, column: Column, count: int) -> list[CodeSample]:
    """The first samples of a column, with how long each holds."""
    times = stretch.times_of(column)
    limit = stretch.held_times.limit
    return [
        CodeSample(column.values[index], times[index], round(limit(column.reading(index)) * 1000))
        for index in range(count)
    ]
