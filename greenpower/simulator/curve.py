"""Curves over time: the shape of a day, with its exact integral, and ripple. Pure functions of time, no state.

What does not belong here: what the curves are curves of (`feeder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import sin, tau
from random import Random

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class DayCurve:
    """A value that repeats every day: 24 values, one at each full hour, straight lines between them."""

    hours: tuple[float, ...]

    def at(self, second: float) -> float:
        """The value at a second of local time."""
        position = second % DAY / HOUR
        hour = int(position)
        here, there = self.hours[hour], self.hours[(hour + 1) % 24]
        return here + (there - here) * (position - hour)

    def integral(self, second: float, during: frozenset[int] = frozenset(range(24))) -> float:
        """Value-hours from second 0 to `second`, counting only the hours of the day in `during`.

        Never falls while the values are not negative.
        """
        days, rest = divmod(second, DAY)
        position = rest / HOUR
        hour = int(position)
        areas = [
            (self.hours[n] + self.hours[(n + 1) % 24]) / 2 if n in during else 0.0
            for n in range(24)
        ]  # fmt: skip
        sums = list(accumulate(areas, initial=0.0))
        part = (self.hours[hour] + self.at(rest)) / 2 * (position - hour) if hour in during else 0.0
        return days * sums[-1] + sums[hour] + part


class Ripple:
    """A wobble in -1 … 1 around 0 that looks like noise and is a function of time."""

    def __init__(self, random: Random, periods: tuple[float, ...] = (2311.0, 433.0, 61.0, 7.3)) -> None:
        self._waves = tuple((period * random.uniform(0.8, 1.25), random.random()) for period in periods)

    def at(self, second: float) -> float:
        """The wobble at a second."""
        return sum(sin(tau * (second / period + phase)) for period, phase in self._waves) / len(self._waves)


#: a distribution feeder: low at night, a shoulder by day, the peak in the evening
LOAD = DayCurve((
    0.42, 0.38, 0.35, 0.33, 0.33, 0.36, 0.44, 0.55, 0.63, 0.68, 0.71, 0.73,
    0.72, 0.69, 0.67, 0.66, 0.70, 0.80, 0.93, 1.00, 0.98, 0.88, 0.70, 0.53,
))  # fmt: skip
#: a photovoltaic plant
SUN = DayCurve((
    0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.02, 0.14, 0.36, 0.60, 0.81, 0.95,
    1.00, 0.97, 0.85, 0.65, 0.40, 0.16, 0.02, 0.00, 0.00, 0.00, 0.00, 0.00,
))  # fmt: skip
#: warmth of the air, 0 at its lowest and 1 at its highest
WARMTH = DayCurve((
    0.22, 0.17, 0.12, 0.07, 0.03, 0.00, 0.03, 0.13, 0.29, 0.48, 0.66, 0.81,
    0.91, 0.98, 1.00, 0.97, 0.88, 0.75, 0.61, 0.51, 0.43, 0.37, 0.31, 0.26,
))  # fmt: skip
#: traffic and cooking, for what is in the air
SMOKE = DayCurve((
    0.62, 0.58, 0.54, 0.50, 0.50, 0.56, 0.70, 0.88, 0.95, 0.82, 0.64, 0.52,
    0.44, 0.39, 0.37, 0.38, 0.44, 0.56, 0.74, 0.92, 1.00, 0.95, 0.84, 0.72,
))  # fmt: skip
