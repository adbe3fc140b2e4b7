"""The state of a counter: `{n, first, first_at, last, last_at, correction}` over the samples that count.

energy = last - first + correction. `correction` is the nearest number to what the judged pairs add up to; where that
is not exact, `rest` holds what is missing, so that merging is exact in any order. Which samples count is decided once,
from the series (`filter_dips`); a state is the part of that choice that lies in its window, and merging two windows
judges the one pair across their edge. So merging is associative, and a tier equals what the readings give.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from greenpower.measure.counter.rules import CounterRules
from greenpower.measure.exact import join, split
from greenpower.measure.state import State

Number = int | float


def counter_of(values: Sequence[Number], times: Sequence[datetime], correction: Fraction | int = 0) -> State:
    """The state of samples that count, at least one. correction: what their pairs add up to."""
    return _with_correction(
        {
            "n": len(values),
            "first": values[0],
            "first_at": times[0],
            "last": values[-1],
            "last_at": times[-1],
            "correction": 0,
        },
        correction,
    )


def merge_counters(states: Sequence[State], rules: CounterRules) -> State:
    """The state of adjacent windows in order, the pairs across their edges judged."""
    total: Fraction | int = 0
    previous: State | None = None
    for state in states:
        if state["correction"] or "rest" in state:
            total += correction(state)
        if previous is not None:
            verdict = rules.pair(previous["last"], previous["last_at"], state["first"], state["first_at"])
            if verdict is not None:
                total += verdict.correction
        previous = state
    first, last = states[0], states[-1]
    return _with_correction(
        {
            "n": sum(state["n"] for state in states),
            "first": first["first"],
            "first_at": first["first_at"],
            "last": last["last"],
            "last_at": last["last_at"],
            "correction": 0,
        },
        total,
    )


def counter_value(state: State) -> Number:
    """The register at the end."""
    return state["last"]  # type: ignore[no-any-return]


def correction(state: State) -> Fraction:
    """The exact correction."""
    return join(state["correction"], state.get("rest", ()))


def energy(state: State) -> float:
    """What was counted from the first sample of a state to its last, in the field's unit, rounded once."""
    if not state["correction"] and "rest" not in state:
        return float(state["last"] - state["first"])
    return float(Fraction(state["last"]) - Fraction(state["first"]) + correction(state))


def _with_correction(state: State, total: Fraction | int) -> State:
    if total:
        state["correction"], rest = split(Fraction(total))
        if rest:
            state["rest"] = rest
    return state
