"""Gauges: a value that goes up and down. Its bucket's number is the mean over time.

What belongs here: what is kept of gauges that came together, as columns with one entry per field, and what it gives.
What does not: when they came (`timing`), how that is stored (`bucket_document`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from operator import mul
from typing import Self

from greenpower.measure.state import Number, State
from greenpower.measure.timing import Seconds


@dataclass(slots=True)
class GaugeColumns:
    """By field: sum, least and greatest of the samples, the first and the last, the integral over time between these
    two (unit times seconds), and the value before the first. leads: None where nothing is known before."""

    sums: Sequence[Number]
    lows: Sequence[Number]
    highs: Sequence[Number]
    firsts: Sequence[Number]
    lasts: Sequence[Number]
    integrals: Sequence[float]
    leads: Sequence[Number] | None

    @classmethod
    def of_one(cls, values: Sequence[Number], leads: Sequence[Number] | None) -> Self:
        """Of one sample per field."""
        return cls(values, values, values, values, values, [0.0] * len(values), leads)

    @classmethod
    def of_several(
        cls, series: Sequence[Sequence[Number]], held: Sequence[float], leads: Sequence[Number] | None
    ) -> Self:
        """Of several samples per field. held: for how long each but the last holds, in seconds."""
        sums = add_up(series)
        lasts = [values[-1] for values in series]
        if held.count(held[0]) == len(held):
            integrals = [(whole - last) * held[0] for whole, last in zip(sums, lasts, strict=True)]
        else:
            integrals = add_up([tuple(map(mul, values, held)) for values in series])
        firsts = [values[0] for values in series]
        return cls(sums, list(map(min, series)), list(map(max, series)), firsts, lasts, integrals, leads)

    @classmethod
    def merged(cls, parts: Sequence[Self], gaps: Sequence[float]) -> Self:
        """Of adjacent stretches in order, at least two, with the same fields. gaps: for how long the last value of each
        but the last holds, in seconds."""
        terms: list[Sequence[float]] = [part.integrals for part in parts if any(part.integrals)]
        terms += [[last * gap for last in part.lasts] for part, gap in zip(parts, gaps, strict=False) if gap]
        return cls(
            add_up(zip(*(part.sums for part in parts), strict=True)),
            list(map(min, *(part.lows for part in parts))),
            list(map(max, *(part.highs for part in parts))),
            parts[0].firsts,
            parts[-1].lasts,
            add_up(zip(*terms, strict=True)) if terms else [0.0] * len(parts[0].sums),
            parts[0].leads,
        )

    @classmethod
    def of_singles(
        cls, series: Sequence[Sequence[float]], gaps: Sequence[float], leads: Sequence[Number] | None
    ) -> Self:
        """As `merged`, of stretches with one sample each. series: by field the samples."""
        return cls(
            add_up(series),
            list(map(min, series)),
            list(map(max, series)),
            [values[0] for values in series],
            [values[-1] for values in series],
            add_up([tuple(map(mul, values, gaps)) for values in series]),
            leads,
        )

    def values(self, n: int, seconds: Seconds) -> Sequence[Number]:
        """The means over time; over the samples where no value holds for any time."""
        whole, before, after = seconds.total, seconds.lead, seconds.last
        if self.leads is None:
            before = 0.0
        if not whole or (n == 1 and not before):
            return self.means(n)
        # Rounding must not take a mean out of its values.
        if n == 1:
            assert self.leads is not None
            return _means_of_two(self.leads, self.firsts, before, after, whole)
        columns = zip(self.integrals, self.lasts, self.lows, self.highs, strict=True)
        if not before or self.leads is None:
            return [_within((area + last * after) / whole, low, high) for area, last, low, high in columns]
        return [
            _within((lead * before + area + last * after) / whole, min(low, lead), max(high, lead))
            for lead, (area, last, low, high) in zip(self.leads, columns, strict=True)
        ]

    def means(self, n: int) -> Sequence[Number]:
        """The means over the samples."""
        if n == 1:
            return self.firsts
        columns = zip(self.sums, self.lows, self.highs, strict=True)
        return [_within(whole / n, low, high) for whole, low, high in columns]

    def columns(self, n: int) -> tuple[Sequence[Number], ...]:
        """What has to be kept of so many samples, but for the leads."""
        if n == 1:
            return (self.firsts,)
        return self.sums, self.lows, self.highs, self.firsts, self.lasts, self.integrals

    @classmethod
    def restored(cls, n: int, columns: Sequence[Sequence[Number]], leads: Sequence[Number] | None) -> Self:
        """From what was kept."""
        if n == 1:
            return cls.of_one(columns[0], leads)
        one, two, three, four, five, six = columns
        return cls(one, two, three, four, five, six, leads)

    def state(self, place: int, n: int) -> State:
        """`{n, sum, min, max}` of a field: what merges without times."""
        return {"n": n, "sum": self.sums[place], "min": self.lows[place], "max": self.highs[place]}

    def mean(self, place: int, n: int) -> Number | None:
        """The mean over the samples of a field."""
        return gauge_value(self.state(place, n))


def add_up(series: Iterable[Sequence[float]]) -> list[float]:
    """The sum of each, rounded once; where one passes what a float holds, infinite or no number."""
    series = list(series)
    try:
        return list(map(fsum, series))
    except (OverflowError, ValueError):
        return [float(sum(values)) for values in series]


def _means_of_two(
    leads: Sequence[Number], values: Sequence[Number], before: float, after: float, whole: float
) -> list[Number]:
    """Between a value and the one before it. The hot path of buckets of one sample: no call per value."""
    found: list[Number] = []
    for lead, value in zip(leads, values, strict=True):
        if value == lead:
            found.append(value)
            continue
        mean = (lead * before + value * after) / whole
        if lead <= mean <= value or value <= mean <= lead:
            found.append(mean)
        else:
            found.append(_within(mean, min(lead, value), max(lead, value)))
    return found


def _within(mean: float, low: Number, high: Number) -> Number:
    return mean if low <= mean <= high else low if mean < low else high


def merge_gauges(states: Sequence[State]) -> State:
    """`{n, sum, min, max}` of all samples of states without times."""
    return {
        "n": sum(state["n"] for state in states),
        "sum": add_up([[state["sum"] for state in states]])[0],
        "min": min([state["min"] for state in states]),
        "max": max([state["max"] for state in states]),
    }


def gauge_value(state: State) -> Number:
    """The mean over the samples."""
    return state["sum"] if state["n"] == 1 else _within(state["sum"] / state["n"], state["min"], state["max"])
