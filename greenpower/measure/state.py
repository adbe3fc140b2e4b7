"""States: what is kept of a field and a window, and the kind `state` itself, of which the last value is kept.

A state is a document. Each kind has three functions: `make_<kind>(values)` gives the state of samples in order,
`merge_<kind>s(states)` that of adjacent windows in order, `<kind>_value(state)` the number that stands for it in a
bucket's payload. The other kinds are in `gauge`, `angle` and `counter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

Number = int | float
State = dict[str, Any]


def make_state(values: Sequence[Number], times: Sequence[datetime]) -> State:
    """`{n, last, at}` of at least one sample."""
    return {"n": len(values), "last": values[-1], "at": times[-1]}


def merge_states(states: Sequence[State]) -> State:
    """The state of all samples of adjacent windows."""
    return {**states[-1], "n": sum(state["n"] for state in states)}


def state_value(state: State) -> Number:
    """The last."""
    return state["last"]  # type: ignore[no-any-return]
