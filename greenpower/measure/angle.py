"""Angles: a direction in degrees. Its bucket's number is the circular mean over time, 0 to 360 degrees.

What belongs here: what is kept of angles that came together, as columns with one entry per field, and what it gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Self

from greenpower.measure.gauge import add_up
from greenpower.measure.state import Number, State
from greenpower.measure.timing import Seconds

# Below this share of its greatest length a sum of directions points nowhere: rounding decides where to.
NO_DIRECTION = 1e-9


@dataclass(slots=True)
class AngleColumns:
    """By field: the sums of sines and cosines of the samples, the first and the last in degrees, the integrals of sine
    and cosine over time between these two (seconds), and the angle before the first. leads: None where nothing is known
    before."""

    sines: Sequence[float]
    cosines: Sequence[float]
    firsts: Sequence[Number]
    lasts: Sequence[Number]
    sine_integrals: Sequence[float]
    cosine_integrals: Sequence[float]
    leads: Sequence[Number] | None

    @classmethod
    def of_one(cls, values: Sequence[Number], leads: Sequence[Number] | None) -> Self:
        """Of one sample per field."""
        zeros = [0.0] * len(values)
        return cls(_sines(values), _cosines(values), values, values, zeros, zeros, leads)

    @classmethod
    def of_several(
        cls, series: Sequence[Sequence[Number]], held: Sequence[float], leads: Sequence[Number] | None
    ) -> Self:
        """Of several samples per field. held: for how long each but the last holds, in seconds."""
        sines, cosines = [_sines(values) for values in series], [_cosines(values) for values in series]
        return cls(
            add_up(sines),
            add_up(cosines),
            [values[0] for values in series],
            [values[-1] for values in series],
            add_up([tuple(map(mul, values, held)) for values in sines]),
            add_up([tuple(map(mul, values, held)) for values in cosines]),
            leads,
        )

    @classmethod
    def merged(cls, parts: Sequence[Self], gaps: Sequence[float]) -> Self:
        """Of adjacent stretches in order, at least two, with the same fields. gaps: for how long the last value of each
        but the last holds, in seconds."""
        held = [(part.lasts, gap) for part, gap in zip(parts, gaps, strict=False) if gap]
        sines = [part.sine_integrals for part in parts]
        sines += [[value * gap for value in _sines(lasts)] for lasts, gap in held]
        cosines = [part.cosine_integrals for part in parts]
        cosines += [[value * gap for value in _cosines(lasts)] for lasts, gap in held]
        return cls(
            add_up(zip(*(part.sines for part in parts), strict=True)),
            add_up(zip(*(part.cosines for part in parts), strict=True)),
            parts[0].firsts,
            parts[-1].lasts,
            add_up(zip(*sines, strict=True)),
            add_up(zip(*cosines, strict=True)),
            parts[0].leads,
        )

    def values(self, n: int, seconds: Seconds) -> list[float | None]:
        """The circular means over time, None where the angles cancel out; over the samples where none holds."""
        whole, before, after = seconds.total, seconds.lead, seconds.last
        if not whole:
            return [self.mean(place, n) for place in range(len(self.firsts))]
        leads = self.firsts if self.leads is None else self.leads
        if self.leads is None:
            before = 0.0
        rows = zip(
            _sines(leads), self.sine_integrals, _sines(self.lasts),
            _cosines(leads), self.cosine_integrals, _cosines(self.lasts), strict=True,
        )  # fmt: skip
        return [
            _direction(s0 * before + s1 + s2 * after, c0 * before + c1 + c2 * after, whole)
            for s0, s1, s2, c0, c1, c2 in rows
        ]

    def columns(self, n: int) -> tuple[Sequence[Number], ...]:
        """What has to be kept of so many samples, but for the leads."""
        if n == 1:
            return (self.firsts,)
        return self.sines, self.cosines, self.firsts, self.lasts, self.sine_integrals, self.cosine_integrals

    @classmethod
    def restored(cls, n: int, columns: Sequence[Sequence[Number]], leads: Sequence[Number] | None) -> Self:
        """From what was kept."""
        if n == 1:
            return cls.of_one(columns[0], leads)
        one, two, three, four, five, six = columns
        return cls(one, two, three, four, five, six, leads)

    def state(self, place: int, n: int) -> State:
        """`{n, sin, cos}` of a field: what merges without times."""
        return {"n": n, "sin": self.sines[place], "cos": self.cosines[place]}

    def mean(self, place: int, n: int) -> float | None:
        """The circular mean over the samples of a field."""
        return angle_value(self.state(place, n))


def _sines(values: Sequence[Number]) -> list[float]:
    return list(map(math.sin, map(math.radians, values)))


def _cosines(values: Sequence[Number]) -> list[float]:
    return list(map(math.cos, map(math.radians, values)))


def _direction(sine: float, cosine: float, length: float) -> float | None:
    """The direction of a sum, None where it points nowhere. length: of the sum if all had one direction."""
    if math.hypot(sine, cosine) <= NO_DIRECTION * length:
        return None
    mean = math.degrees(math.atan2(sine, cosine))
    return mean if mean >= 0 else min(mean + 360, math.nextafter(360, 0))


def merge_angles(states: Sequence[State]) -> State:
    """`{n, sin, cos}` of all samples of states without times."""
    sine, cosine = add_up([[state[part] for state in states] for part in ("sin", "cos")])
    return {"n": sum(state["n"] for state in states), "sin": sine, "cos": cosine}


def angle_value(state: State) -> float | None:
    """The circular mean over the samples, 0 to 360 degrees; None where the angles cancel out."""
    return _direction(state["sin"], state["cos"], state["n"])
