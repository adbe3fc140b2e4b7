"""Angles: a direction in degrees. Its state is `{n, sin, cos}`, its bucket's number the circular mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import fsum

from greenpower.measure.state import Number, State

# Below this share of its greatest length a sum of directions points nowhere: rounding decides where to.
NO_DIRECTION = 1e-9


def make_angle(values: Sequence[Number]) -> State:
    """`{n, sin, cos}`: how many, and the sums of the sines and cosines, of at least one angle in degrees."""
    radians = [math.radians(value) for value in values]
    return {"n": len(values), "sin": fsum(map(math.sin, radians)), "cos": fsum(map(math.cos, radians))}


def merge_angles(states: Sequence[State]) -> State:
    """The angle state of all samples of some states."""
    return {
        "n": sum(state["n"] for state in states),
        "sin": fsum([state["sin"] for state in states]),
        "cos": fsum([state["cos"] for state in states]),
    }


def angle_value(state: State) -> float | None:
    """The circular mean, 0 to 360 degrees; None where the angles cancel out."""
    if math.hypot(state["sin"], state["cos"]) <= NO_DIRECTION * state["n"]:
        return None
    mean = math.degrees(math.atan2(state["sin"], state["cos"]))
    return mean if mean >= 0 else min(mean + 360, math.nextafter(360, 0))
