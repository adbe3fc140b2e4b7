"""The state of a counter: `{n, first, first_at, last, last_at, correction, entry}` over the samples that are accepted.

energy = last - first + correction: what the steps into all samples but the first counted. `entry` is what the step into
the first counted besides its rise from the register before; it is there only where it is not 0. Rules are applied once,
when readings are rolled up; merging adds up. So merging is associative, and a tier equals what the readings give.

Corrections are exact totals: `correction` is the nearest number, and where that is not all of it, `rest` holds what is
missing as further numbers; an `entry` is one number or a list of them. So integers and floats add up to the same total
in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from greenpower.measure.counter.total import join_total, split_total
from greenpower.measure.state import Number, State


def make_counter(values: Sequence[Number], times: Sequence[datetime], correction: Fraction | int = 0) -> State:
    """The state of samples that are accepted, at least one. correction: of all steps between them together."""
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


def with_entry(state: State, total: Fraction, *, always: bool = False) -> State:
    """Set what the step into a state's first sample counts besides its rise. always: also where that is nothing."""
    if total or always:
        nearest, rest = split_total(total)
        state["entry"] = [nearest, *rest] if rest else nearest
    return state


def merge_counters(states: Sequence[State]) -> State:
    """The state of adjacent windows in order."""
    return _merge(states, rises=True)


def merge_net_counters(states: Sequence[State]) -> State:
    """The state of adjacent windows in order, of a register that may fall."""
    return _merge(states, rises=False)


def _merge(states: Sequence[State], *, rises: bool) -> State:
    total: Fraction | int = 0
    previous: State | None = None
    for state in states:
        if state["correction"] or "rest" in state:
            total += correction(state)
        if previous is not None:
            if "entry" in state:
                total += entry(state)
            elif rises and state["first"] < previous["last"]:
                # Buckets of versions that kept no entries: a fall between two of them was a reset.
                total += Fraction(previous["last"])
        previous = state
    first, last = states[0], states[-1]
    merged = {
        "n": sum(state["n"] for state in states),
        "first": first["first"],
        "first_at": first["first_at"],
        "last": last["last"],
        "last_at": last["last_at"],
        "correction": 0,
    }
    if "entry" in first:
        merged["entry"] = first["entry"]
    return _with_correction(merged, total)


def counter_value(state: State) -> Number:
    """The register at the end."""
    return state["last"]  # type: ignore[no-any-return]


def correction(state: State) -> Fraction:
    """The exact correction."""
    return join_total(state["correction"], state.get("rest", ()))


def entry(state: State) -> Fraction:
    """What the step into the first sample counted besides its rise, exactly."""
    kept = state.get("entry", 0)
    return join_total(kept[0], kept[1:]) if isinstance(kept, list) else Fraction(kept)


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
