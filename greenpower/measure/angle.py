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
    before. sines, cosines: None for one sample, of which they are made when they are asked for."""

    sines: Sequence[float] | None
    cosines: Sequence[float] | None
    firsts: Sequence[Number]
    lasts: Sequence[Number]
    sine_integrals: Sequence[float]
    cosine_integrals: Sequence[float]
    leads: Sequence[Number] | None

    @classmethod
    def of_one(cls, values: Sequence[Number], leads: Sequence[Number] | None) -> Self:
        """Of one sample per field."""
        zeros = [0.0] * len(values)
        return cls(None, None, values, values, zeros, zeros, leads)

    @classmethod
    def of_several(
        cls, series: Sequence[Sequence[Number]], held: Sequence[float], leads: Sequence[Number] | None
    ) -> Self:
        """Of several samples per field. held: for how long each but the last holds, in seconds."""
        sines, cosines = [sines_of(values) for values in series], [cosines_of(values) for values in series]
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
        sines += [[value * gap for value in sines_of(lasts)] for lasts, gap in held]
        cosines = [part.cosine_integrals for part in parts]
        cosines += [[value * gap for value in cosines_of(lasts)] for lasts, gap in held]
        return cls(
            add_up(zip(*(part.sine_sums() for part in parts), strict=True)),
            add_up(zip(*(part.cosine_sums() for part in parts), strict=True)),
            parts[0].firsts,
            parts[-1].lasts,
            add_up(zip(*sines, strict=True)),
            add_up(zip(*cosines, strict=True)),
            parts[0].leads,
        )

    @classmethod
    def of_singles(
        cls, series: Sequence[Sequence[float]], gaps: Sequence[float], leads: Sequence[Number] | None
    ) -> Self:
        """As `merged`, of stretches with one sample each. series: by field the samples."""
        return cls.of_several(series, gaps, leads)

    def sine_sums(self) -> Sequence[float]:
        """The sums of sines."""
        return sines_of(self.firsts) if self.sines is None else self.sines

    def cosine_sums(self) -> Sequence[float]:
        """The sums of cosines."""
        return cosines_of(self.firsts) if self.cosines is None else self.cosines

    def values(self, n: int, seconds: Seconds) -> list[float | None]:
        """The circular means over time, None where the angles cancel out; over the samples where none holds."""
        whole, before, after = seconds.total, seconds.lead, seconds.last
        if not whole:
            return [self.mean(place, n) for place in range(len(self.firsts))]
        leads = self.firsts if self.leads is None else self.leads
        if self.leads is None:
            before = 0.0
        rows = zip(
            sines_of(leads), self.sine_integrals, sines_of(self.lasts),
            cosines_of(leads), self.cosine_integrals, cosines_of(self.lasts), strict=True,
        )  # fmt: skip
        return [
            _direction(s0 * before + s1 + s2 * after, c0 * before + c1 + c2 * after, whole)
            for s0, s1, s2, c0, c1, c2 in rows
        ]

    def columns(self, n: int) -> tuple[Sequence[Number], ...]:
        """What has to be kept of so many samples, but for the leads."""
        if n == 1:
            return (self.firsts,)
        return self.sine_sums(), self.cosine_sums(), self.firsts, self.lasts, self.sine_integrals, self.cosine_integrals

    @classmethod
    def restored(cls, n: int, columns: Sequence[Sequence[Number]], leads: Sequence[Number] | None) -> Self:
        """From what was kept."""
        if n == 1:
            return cls.of_one(columns[0], leads)
        one, two, three, four, five, six = columns
        return cls(one, two, three, four, five, six, leads)

    def state(self, place: int, n: int) -> State:
        """`{n, sin, cos}` of a field: what merges without times."""
        if self.sines is None or self.cosines is None:
            return {"n": n, "sin": sines_of([self.firsts[place]])[0], "cos": cosines_of([self.firsts[place]])[0]}
        return {"n": n, "sin": self.sines[place], "cos": self.cosines[place]}

    def mean(self, place: int, n: int) -> float | None:
        """The circular mean over the samples of a field."""
        return angle_value(self.state(place, n))


def sines_of(values: Sequence[Number]) -> list[float]:
    """The sines of degrees."""
    return list(map(math.sin, map(math.radians, values)))


def cosines_of(values: Sequence[Number]) -> list[float]:
    """The cosines of degrees."""
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
