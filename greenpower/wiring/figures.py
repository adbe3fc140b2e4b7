"""Numbers of a day: medians, spreads, last digits, angles. Pure.

What belongs here: what several checks compute in the same way. What does not: what is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import atan2, cos, degrees, hypot, radians, sin
from statistics import median

MAX_DECIMALS = 6
#: of that many values the decimals are counted
DECIMALS_LOOKED_AT = 300


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which a share of the values lies; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def last_digit(values: Sequence[float]) -> float:
    """The value of the last digit in which some values are written: 0.01 for 1.25 and 2.5."""
    step = max(1, len(values) // DECIMALS_LOOKED_AT)
    for decimals in range(MAX_DECIMALS):
        if all(abs(value - round(value, decimals)) < 1e-9 * max(1.0, abs(value)) for value in values[::step]):
            return float(10**-decimals)
    return float(10**-MAX_DECIMALS)


def spread(values: Sequence[float]) -> float:
    """How far values lie from their median, relative to it: 1.48 times the median distance. Infinite around 0."""
    middle = median(values)
    if not middle:
        return float("inf")
    return 1.4826 * median(abs(value - middle) for value in values) / abs(middle)


def turn(angle: float) -> float:
    """An angle in -180 … 180 °."""
    return (angle + 180.0) % 360.0 - 180.0


def angle_of(active: float, reactive: float) -> float:
    """The angle of a power, in degrees."""
    return degrees(atan2(reactive, active))


def middle_angle(angles: Sequence[float]) -> float:
    """The median of angles, on the circle around their mean direction."""
    x, y = sum(cos(radians(one)) for one in angles), sum(sin(radians(one)) for one in angles)
    mean = degrees(atan2(y, x))
    return turn(mean + median(turn(one - mean) for one in angles))


def vector_sum(parts: Iterable[tuple[float, float]]) -> float:
    """The length of the sum of (length, angle in degrees)."""
    x = y = 0.0
    for length, angle in parts:
        x += length * cos(radians(angle))
        y += length * sin(radians(angle))
    return hypot(x, y)


def close(one: float, other: float, share: float, digits: float = 0.0) -> bool:
    """Whether two values are equal within a share of the greater one, and some last digits."""
    return abs(one - other) <= share * max(abs(one), abs(other)) + digits


#: factors that a wrong CT or VT ratio, a wrong unit or a wrong register makes
USUAL_FACTORS = (
    0.001, 0.01, 0.1, 0.2, 0.25, 0.4, 0.5, 0.577, 0.667, 1.5, 1.732, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 25, 30,
    40, 50, 60, 80, 100, 120, 160, 200, 240, 300, 400, 600, 1_000, 3_600, 1_000_000,
)  # fmt: skip
FACTOR_TOLERANCE = 0.06


def usual_factor(factor: float) -> float | None:
    """The usual factor that a measured one is near to, if any."""
    nearest = min(USUAL_FACTORS, key=lambda known: abs(factor / known - 1))
    return nearest if abs(factor / nearest - 1) <= FACTOR_TOLERANCE else None


def in_words(factor: float) -> str:
    """A factor for people: "40 times (measured 39.6)"."""
    usual = usual_factor(factor)
    return f"{factor:.3g} times" if usual is None else f"about {usual:g} times (measured {factor:.3g})"
