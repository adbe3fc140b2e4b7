"""Deltas: what was used since the last message. Their state is `{n, total, first_at, last_at}`, their number the total.

`total` is the sum of what counts, exactly: the nearest number, and where that is not all of it, `rest` holds what is
missing as further numbers. So merging adds up to the same total in any grouping. n, first_at, last_at: all samples,
also those that an incident keeps from counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from math import fsum

from greenpower.measure.counter.total import join_total, split_total
from greenpower.measure.state import Number, State


def make_delta(counting: Sequence[Number], times: Sequence[datetime]) -> State:
    """The state of samples, at least one. counting: the values of those that count; times: of all."""
    state: State = {"n": len(times), "total": 0, "first_at": times[0], "last_at": times[-1]}
    return _with_total(state, _exact_sum(counting))


def merge_deltas(states: Sequence[State]) -> State:
    """The state of adjacent windows in order."""
    merged: State = {
        "n": sum(state["n"] for state in states),
        "total": 0,
        "first_at": states[0]["first_at"],
        "last_at": states[-1]["last_at"],
    }
    return _with_total(merged, sum(map(delta_total, states), Fraction()))


def delta_value(state: State) -> Number:
    """The total, rounded once."""
    return state["total"]  # type: ignore[no-any-return]


def delta_total(state: State) -> Fraction:
    """The exact total."""
    return join_total(state["total"], state.get("rest", ()))


def _exact_sum(values: Sequence[Number]) -> Fraction:
    """The sum without any rounding."""
    if all(type(value) is float for value in values):
        # A float sum that is rounded once says what is missing when it is taken off: most sums are done after two.
        total, parts = Fraction(), list(values)
        while part := fsum(parts):
            total += Fraction(part)
            parts.append(-part)
        return total
    return sum(map(Fraction, values), Fraction())


def _with_total(state: State, total: Fraction) -> State:
    if total:
        state["total"], rest = split_total(total)
        if rest:
            state["rest"] = rest
    return state
