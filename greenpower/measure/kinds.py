"""Kinds: how the states of each kind merge, and the number that stands for one.

What belongs here: one line per kind. What does not: how states are made from samples (`greenpower.measure.rolling`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from greenpower.datatype import Kind
from greenpower.measure.angle import angle_value, merge_angles
from greenpower.measure.counter.state import counter_value, energy, merge_counters, merge_net_counters
from greenpower.measure.delta import delta_value, merge_deltas
from greenpower.measure.enumeration import enumeration_value, merge_enumerations
from greenpower.measure.gauge import gauge_value, merge_gauges
from greenpower.measure.state import Number, State, merge_states, state_value


@dataclass(frozen=True, slots=True, kw_only=True)
class KindStates:
    """The states of a kind. key: by which a stored state shows its kind. merge: the states of adjacent windows in
    order, at least one. value: the number that stands for a state in a payload; None where there is none."""

    key: str
    merge: Callable[[Sequence[State]], State]
    value: Callable[[State], Number | None]


# The states of kinds with energy show one of these.
ENERGY_KEYS = ("correction", "total")
_REGISTER = KindStates(key="correction", merge=merge_counters, value=counter_value)

STATES_OF: Mapping[Kind, KindStates] = {
    Kind.GAUGE: KindStates(key="sum", merge=merge_gauges, value=gauge_value),
    Kind.ANGLE: KindStates(key="sin", merge=merge_angles, value=angle_value),
    Kind.STATE: KindStates(key="at", merge=merge_states, value=state_value),
    Kind.ENUMERATION: KindStates(key="ends", merge=merge_enumerations, value=enumeration_value),
    Kind.COUNTER: _REGISTER,
    Kind.NET: KindStates(key="correction", merge=merge_net_counters, value=counter_value),
    Kind.DAILY: _REGISTER,
    Kind.DELTA: KindStates(key="total", merge=merge_deltas, value=delta_value),
}


def has_energy(state: State) -> bool:
    """Whether a stored state is of a kind with energy: a register's or a delta's."""
    return any(key in state for key in ENERGY_KEYS)


def state_energy(state: State) -> float:
    """What a state of a kind with energy counted from its first sample to its last; of a delta, all of its samples."""
    return float(delta_value(state)) if STATES_OF[Kind.DELTA].key in state else energy(state)
