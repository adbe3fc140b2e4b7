"""The counters of one device over a stretch of readings: dips left out, rules applied, cut into windows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise

from greenpower.measure.column import Column
from greenpower.measure.counter.dip_filter import FilteredSamples, filter_dips
from greenpower.measure.counter.rules import SECONDS_PER_HOUR, CounterRules, Incident
from greenpower.measure.counter.state import make_counter
from greenpower.measure.state import Number, State


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterEvent:
    """An incident in a series. at, value: the sample it shows at; before_at, before: the one kept before it.

    correction: what it adds to the energy between the two; None for a dip, which lies between nothing.
    """

    field: str
    incident: Incident
    at: datetime
    value: Number
    before_at: datetime
    before: Number
    correction: Fraction | None = None


class Register:
    """The counters of a device: readings `low` to `high` are asked for, those around them decide which samples count.

    revisit: times of samples before, which were decided by samples among those asked for, or are still undecided.
    """

    def __init__(self, times: Sequence[datetime], low: int, high: int, settled_before: datetime) -> None:
        self.times = times
        self.low, self.high = low, high
        self.settled_before = settled_before
        self.revisit: set[datetime] = set()
        self._shortest: float | None = None

    def states(
        self, column: Column, places: Sequence[tuple[int, int]], rules: CounterRules, incidents: list[CounterEvent]
    ) -> tuple[list[State | None], datetime | None]:
        """The state of each window, None where no sample of it counts; and from when on later samples may change them.

        places: the windows, as `column` cuts them. incidents: those that are found are added.
        """
        values = column.values
        ordered = list(values)
        if not rules.decision.swaps and sorted(ordered) == ordered and self._is_flat(values, rules):
            return [self._undisturbed(column, a, b) if a < b else None for a, b in places], None
        times = self.times if column.where is None else [self.times[index] for index in column.where]
        return self._by_rules(column, times, places, rules, incidents)

    def _undisturbed(self, column: Column, a: int, b: int) -> State:
        """A state without any incident."""
        values, times = column.values, self.times
        return {
            "n": b - a,
            "first": values[a],
            "first_at": times[column.reading(a)],
            "last": values[b - 1],
            "last_at": times[column.reading(b - 1)],
            "correction": 0,
        }

    def _is_flat(self, values: Sequence[Number], rules: CounterRules) -> bool:
        """Whether a rising series is so flat that no step of it exceeds the limit."""
        if rules.limits.rate is None:
            return True
        if self._shortest is None:
            gaps = [(after - before).total_seconds() for before, after in pairwise(self.times)]
            self._shortest = min(gaps, default=0.0)
        return values[-1] - values[0] <= rules.limits.rate * self._shortest / SECONDS_PER_HOUR

    def _by_rules(
        self,
        column: Column,
        times: Sequence[datetime],
        places: Sequence[tuple[int, int]],
        rules: CounterRules,
        incidents: list[CounterEvent],
    ) -> tuple[list[State | None], datetime | None]:
        values = column.values
        filtered = self._filter(values, times, rules)
        low, high = places[0][0], places[-1][1]
        corrections = [Fraction()] * len(places)
        window = 0
        for before, after in pairwise(filtered.kept):
            verdict = rules.between(values[before], times[before], values[after], times[after])
            if verdict is None or not low <= after < high:
                continue
            while after >= places[window][1]:
                window += 1
            if before >= places[window][0]:
                corrections[window] += verdict.correction
            if verdict.incident is not Incident.SWAP:
                incidents.append(_counter_event(column, verdict.incident, times, before, after, verdict.correction))
        for dip in filtered.dips:
            if low <= dip < high:
                before = filtered.kept[bisect_left(filtered.kept, dip) - 1]
                incidents.append(_counter_event(column, Incident.DIP, times, before, dip, None))
        states: list[State | None] = []
        for (a, b), correction in zip(places, corrections, strict=True):
            kept = filtered.kept[bisect_left(filtered.kept, a) : bisect_left(filtered.kept, b)]
            ends = kept[:1] + kept[-1:]
            state = make_counter([values[i] for i in ends], [times[i] for i in ends], correction) if kept else None
            states.append(state and {**state, "n": len(kept)})
        undecided = next((index for index, decided_by in filtered.drops if decided_by >= low), low)
        self.revisit.update(times[undecided:low])
        return states, None if filtered.open_from is None else times[filtered.open_from]

    def _filter(self, values: Sequence[Number], times: Sequence[datetime], rules: CounterRules) -> FilteredSamples:
        """Leave out the dips of each meter alone: what a new meter shows says nothing about the old one."""
        joined = FilteredSamples()
        starts = [0, *(bisect_left(times, swap.at) for swap in rules.decision.swaps), len(values)]
        settled = bisect_left(times, self.settled_before)
        for begin, end in pairwise(starts):
            found = filter_dips(values[begin:end], max(0, settled - begin))
            joined.kept += [begin + index for index in found.kept]
            joined.dips += [begin + index for index in found.dips]
            joined.drops += [(begin + index, begin + decided_by) for index, decided_by in found.drops]
            # Of a meter that is gone nothing more comes.
            joined.open_from = None if found.open_from is None else begin + found.open_from
        return joined


def _counter_event(
    column: Column,
    incident: Incident,
    times: Sequence[datetime],
    before: int,
    at: int,
    correction: Fraction | None,
) -> CounterEvent:
    return CounterEvent(
        field=column.name,
        incident=incident,
        at=times[at],
        value=column.values[at],
        before_at=times[before],
        before=column.values[before],
        correction=correction,
    )
