"""The counters of one device over a stretch of readings: sifted, judged, cut into windows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

from greenpower.rollup.counter import counter_of
from greenpower.rollup.judge import SECONDS_PER_HOUR, Incident, Judge
from greenpower.rollup.number import is_number
from greenpower.rollup.sift import Sifted, sift
from greenpower.rollup.state import State

Number = int | float
Cut = tuple[datetime, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Befallen:
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
    """The readings of a device: `low` to `high` are asked for, those around them are for judging.

    revisit: times of samples before, whose fate was decided by samples among those asked for, or is still open.
    """

    def __init__(
        self,
        times: Sequence[datetime],
        payloads: Sequence[Mapping[str, Any]],
        low: int,
        high: int,
        settled_before: datetime,
    ) -> None:
        self.times = times
        self.payloads = payloads
        self.low, self.high = low, high
        self.settled_before = settled_before
        self._shortest: float | None = None
        self._before: dict[str, int] = {}
        self.revisit: set[datetime] = set()

    def before(self, name: str) -> int:
        """How many samples of a counter, seen already, lie before those asked for."""
        return self._before[name]

    def states(
        self,
        name: str,
        column: Sequence[Number],
        where: list[int] | None,
        cuts: Sequence[Cut],
        judge: Judge,
        incidents: list[Befallen],
    ) -> tuple[list[State | None], datetime | None]:
        """The state of each window, None where no sample of it counts; and from when on later samples may change them.

        column, where: the field's numbers among the readings asked for, and their positions, as `series` finds them.
        """
        head_at, head = self._around(name, 0, self.low)
        tail_at, tail = self._around(name, self.high, len(self.times))
        self._before[name] = len(head)
        inside = range(self.high - self.low) if where is None else where
        values = [*head, *column, *tail]
        if not judge.word.swaps and sorted(values) == values and self._gentle(values, judge):
            states = []
            for _, i, j in cuts:
                a, b = (i, j) if where is None else (bisect_left(where, i), bisect_left(where, j))
                at = self.low + inside[a] if a < b else 0
                states.append(self._plain(column, a, b, at, self.low + inside[b - 1]) if a < b else None)
            return states, None
        times = [*head_at, *(self.times[self.low + index] for index in inside), *tail_at]
        return self._judged(name, values, times, (len(head), len(head) + len(column)), cuts, judge, incidents)

    def _plain(self, column: Sequence[Number], a: int, b: int, first: int, last: int) -> State:
        """A state without any incident."""
        return {
            "n": b - a,
            "first": column[a],
            "first_at": self.times[first],
            "last": column[b - 1],
            "last_at": self.times[last],
            "correction": 0,
        }

    def _around(self, name: str, start: int, stop: int) -> tuple[list[datetime], list[Number]]:
        """The samples of a field among readings around those asked for."""
        at: list[datetime] = []
        values: list[Number] = []
        for index in range(start, stop):
            value: Any = self.payloads[index].get(name)
            if is_number(value):
                at.append(self.times[index])
                values.append(value)
        return at, values

    def _gentle(self, values: Sequence[Number], judge: Judge) -> bool:
        """Whether a rising series is so flat that no step of it can be suspect."""
        if judge.limits.rate is None:
            return True
        if self._shortest is None:
            gaps = [(after - before).total_seconds() for before, after in pairwise(self.times)]
            self._shortest = min(gaps, default=0.0)
        return values[-1] - values[0] <= judge.limits.rate * self._shortest / SECONDS_PER_HOUR

    def _judged(
        self,
        name: str,
        values: list[Number],
        times: list[datetime],
        asked: tuple[int, int],
        cuts: Sequence[Cut],
        judge: Judge,
        incidents: list[Befallen],
    ) -> tuple[list[State | None], datetime | None]:
        sifted = self._sift(values, times, judge)
        low, high = asked
        bounds = [*(bisect_left(times, start) for start, _, _ in cuts), high]
        corrections = [Fraction()] * len(cuts)
        window = 0
        for before, after in pairwise(sifted.kept):
            verdict = judge.pair(values[before], times[before], values[after], times[after])
            if verdict is None or not low <= after < high:
                continue
            while after >= bounds[window + 1]:
                window += 1
            if before >= bounds[window]:
                corrections[window] += verdict.correction
            if verdict.incident is not Incident.SWAP:
                incidents.append(
                    self._befallen(name, verdict.incident, values, times, before, after, verdict.correction)
                )
        for dip in sifted.dips:
            if low <= dip < high:
                before = sifted.kept[bisect_left(sifted.kept, dip) - 1]
                incidents.append(self._befallen(name, Incident.DIP, values, times, before, dip, None))
        states: list[State | None] = []
        for number, correction in enumerate(corrections):
            kept = sifted.kept[bisect_left(sifted.kept, bounds[number]) : bisect_left(sifted.kept, bounds[number + 1])]
            ends = kept[:1] + kept[-1:]
            state = counter_of([values[i] for i in ends], [times[i] for i in ends], correction) if kept else None
            states.append(state and {**state, "n": len(kept)})
        undecided = next((index for index, decided_by in sifted.drops if decided_by >= low), low)
        self.revisit.update(times[undecided:low])
        return states, None if sifted.open_from is None else times[sifted.open_from]

    def _sift(self, values: list[Number], times: list[datetime], judge: Judge) -> Sifted:
        """Sift each meter's samples alone: what a new one shows says nothing of the old one's."""
        joined = Sifted()
        starts = [0, *(bisect_left(times, swap.at) for swap in judge.word.swaps), len(values)]
        settled = bisect_left(times, self.settled_before)
        for begin, end in pairwise(starts):
            found = sift(values[begin:end], max(0, settled - begin))
            joined.kept += [begin + index for index in found.kept]
            joined.dips += [begin + index for index in found.dips]
            joined.drops += [(begin + index, begin + decided_by) for index, decided_by in found.drops]
            # Of a meter that is gone nothing more comes.
            joined.open_from = None if found.open_from is None else begin + found.open_from
        return joined

    @staticmethod
    def _befallen(
        name: str,
        incident: Incident,
        values: list[Number],
        times: list[datetime],
        before: int,
        at: int,
        correction: Fraction | None,
    ) -> Befallen:
        return Befallen(
            field=name,
            incident=incident,
            at=times[at],
            value=values[at],
            before_at=times[before],
            before=values[before],
            correction=correction,
        )
