"""The state of a counter: `{n, first, first_at, last, last_at, correction}` over the samples that count.

energy = last - first + correction. Which samples count is decided once, from the series (`filter_dips`); a state is the
part of that choice that lies in its window, and merging two windows applies the rules to the one pair across their
edge. So merging is associative, and a tier equals what the readings give.

Corrections are exact totals: `correction` is the nearest number, and where that is not all of it, `rest` holds what is
missing as further numbers. So integers and floats add up to the same total in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from greenpower.measure.counter.rules import CounterRules
from greenpower.measure.state import Number, State

LARGEST_STORED_INTEGER = 2**63


def make_counter(values: Sequence[Number], times: Sequence[datetime], correction: Fraction | int = 0) -> State:
    """The state of samples that count, at least one. correction: of all their pairs together."""
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
    """The state of adjacent windows in order; the rules are applied to the pairs across their edges."""
    total: Fraction | int = 0
    previous: State | None = None
    for state in states:
        if state["correction"] or "rest" in state:
            total += correction(state)
        if previous is not None:
            verdict = rules.between(previous["last"], previous["last_at"], state["first"], state["first_at"])
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
    return join_total(state["correction"], state.get("rest", ()))


def energy(state: State) -> float:
    """What was counted from the first sample of a state to its last, in the field's unit, rounded once."""
    if not state["correction"] and "rest" not in state:
        return float(state["last"] - state["first"])
    return float(Fraction(state["last"]) - Fraction(state["first"]) + correction(state))


def _with_correction(state: State, total: Fraction | int) -> State:
    if total:
        state["correction"], rest = split_total(Fraction(total))
        if rest:
            state["rest"] = rest
    return state


def split_total(total: Fraction) -> tuple[Number, list[float]]:
    """A total as the nearest number that a document can hold, and what is missing of it, largest part first.

    The same total always gives the same numbers. Totals of stored numbers split without a rest in the end, since each
    is a whole multiple of the smallest float.
    """
    if total.denominator == 1 and -LARGEST_STORED_INTEGER <= total.numerator < LARGEST_STORED_INTEGER:
        return total.numerator, []
    parts: list[float] = []
    while total:
        part = float(total)
        if part == 0:
            break
        parts.append(part)
        total -= Fraction(part)
    return parts[0], parts[1:]


def join_total(nearest: Number, rest: Sequence[Number] = ()) -> Fraction:
    """The total that `split_total` was given."""
    return sum((Fraction(part) for part in rest), Fraction(nearest))
