"""Energy between boundaries: what the counter of each device counted, by the one definition of `greenpower.measure`.

The register at a boundary is the last sample that counts up to it, itself included. What was counted from the first
sample of the chain to there is rounded once, to a millionth of the unit; stretches are the differences of those whole
numbers, so sums of stretches and of devices agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from greenpower.measure.counter.rules import CounterRules
from greenpower.measure.counter.state import energy, make_counter, merge_counters
from greenpower.measure.state import State
from greenpower.mongo.energy.interval_plan import Boundary, PlanInterval
from greenpower.mongo.energy.registers import Key, PieceState, Registers
from greenpower.mongo.rollups.tier_view import TierView

COUNTS_PER_UNIT = 10**6
Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """The register at a boundary. counted: since the chain's first sample, in millionths; samples: as many."""

    value: Number
    at: datetime
    counted: int
    samples: int


@dataclass(slots=True, kw_only=True)
class Registered:
    """A device's registers at the boundaries, None where there was no sample yet or nothing is left.

    open_from: from here on later samples may change what was counted; None if there is no such time.
    """

    readings: list[RegisterReading | None]
    open_from: datetime | None = None


def read_energy(
    registers: Registers, tier_views: Sequence[TierView], intervals: Sequence[PlanInterval], devices: Sequence[str]
) -> dict[str, Registered]:
    """The registers of devices at the boundaries of an interval plan. Raises PyMongoError."""
    pieces = [piece for interval in intervals for piece in interval.pieces]
    for interval in intervals:
        for boundary in interval.boundaries:
            pieces += boundary.pieces
            if boundary.here is not None:
                pieces.append(boundary.here)
    found_states = registers.read(devices, pieces)
    found = {}
    for device in devices:
        start = registers.before(device, intervals[0].begin, tier_views)
        found[device] = _follow(device, intervals, found_states, registers.rules(device), start)
    return found


def _follow(
    device: str,
    intervals: Sequence[PlanInterval],
    found_states: dict[Key, PieceState],
    rules: CounterRules,
    start: State | None,
) -> Registered:
    """Go along the chain and look at the register at each boundary."""
    result = Registered(readings=[])
    so_far = start
    for interval in intervals:
        for boundary in interval.boundaries:
            result.readings.append(_read_boundary(device, boundary, found_states, rules, so_far))
        for piece in interval.pieces:
            found = found_states.get((device, piece))
            if found is not None:
                so_far = found.state if so_far is None else merge_counters([so_far, found.state], rules)
    pieces = [piece for interval in intervals for piece in interval.pieces]
    pieces += [piece for interval in intervals for boundary in interval.boundaries for piece in boundary.pieces]
    unsettled = (piece.begin for piece in pieces if (state := found_states.get((device, piece))) and not state.settled)
    result.open_from = min(unsettled, default=None)
    return result


def _read_boundary(
    device: str, boundary: Boundary, found_states: dict[Key, PieceState], rules: CounterRules, so_far: State | None
) -> RegisterReading | None:
    if boundary.at is None:
        return None
    states = [] if so_far is None else [so_far]
    states += [found_states[device, piece].state for piece in boundary.pieces if (device, piece) in found_states]
    here = None if boundary.here is None else found_states.get((device, boundary.here))
    if here is not None and here.state["first_at"] == boundary.at:
        states.append(make_counter([here.state["first"]], [here.state["first_at"]]))
    if not states:
        return None
    state = merge_counters(states, rules)
    counted = round(energy(state) * COUNTS_PER_UNIT)
    return RegisterReading(value=state["last"], at=state["last_at"], counted=counted, samples=state["n"])
