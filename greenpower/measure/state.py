"""The states of the kinds that need no look-around: gauge, angle, state. Counters are in `counter`.

A state is a document. For each kind: `<kind>_of(values)` makes the state of samples in order, `merge_<kind>s(states)`
that of adjacent windows in order, `<kind>_value(state)` the number that stands for it in a bucket's payload.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from math import fsum
from typing import Any

Number = int | float
State = dict[str, Any]

# Below this share of its greatest length a sum of directions points nowhere: rounding decides where to.
NO_DIRECTION = 1e-9


def gauge_of(values: Sequence[Number]) -> State:
    """`{n, sum, min, max}` of at least one sample."""
    if len(values) == 1:
        value = values[0]
        return {"n": 1, "sum": value, "min": value, "max": value}
    return {"n": len(values), "sum": fsum(values), "min": min(values), "max": max(values)}


def merge_gauges(states: Sequence[State]) -> State:
    """The gauge state of all samples of some states."""
    if len(states) == 1:
        return states[0]
    return {
        "n": sum(state["n"] for state in states),
        "sum": fsum([state["sum"] for state in states]),
        "min": min([state["min"] for state in states]),
        "max": max([state["max"] for state in states]),
    }


def gauge_value(state: State) -> Number:
    """The mean."""
    if state["n"] == 1:
        return state["sum"]  # type: ignore[no-any-return]
    return state["sum"] / state["n"]  # type: ignore[no-any-return]


def angle_of(values: Sequence[Number]) -> State:
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


def state_of(values: Sequence[Number], times: Sequence[datetime]) -> State:
    """`{n, last, at}` of at least one sample."""
    return {"n": len(values), "last": values[-1], "at": times[-1]}


def merge_states(states: Sequence[State]) -> State:
    """The state of all samples of adjacent windows."""
    return {**states[-1], "n": sum(state["n"] for state in states)}


def state_value(state: State) -> Number:
    """The last."""
    return state["last"]  # type: ignore[no-any-return]
