"""Gauges: a value that goes up and down. Its state is `{n, sum, min, max}`, its bucket's number the mean."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from greenpower.measure.state import Number, State


def make_gauge(values: Sequence[Number]) -> State:
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
