"""Energy between boundaries: what the counter of each device counted, by the one definition of `greenpower.measure`.

The register at a boundary is the last sample that counts up to it, itself included. What was counted from the first
sample of the chain to there is rounded once, to a millionth of the unit; stretches are the differences of those whole
numbers, so sums of stretches and of devices agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from greenpower.measure.counter.rules import Judge
from greenpower.measure.counter.state import counter_of, energy, merge_counters
from greenpower.measure.state import State
from greenpower.mongo.energy.interval_plan import Cell, Stop
from greenpower.mongo.energy.registers import Key, Part, Registers
from greenpower.mongo.rollups.tier_view import Shelf

UNIT = 10**6
Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
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

    readings: list[Reading | None]
    open_from: datetime | None = None


def read_energy(
    registers: Registers, shelves: Sequence[Shelf], cells: Sequence[Cell], devices: Sequence[str]
) -> dict[str, Registered]:
    """The registers of devices at the boundaries of a cover. Raises PyMongoError."""
    pieces = [piece for cell in cells for piece in cell.pieces]
    for cell in cells:
        for stop in cell.stops:
            pieces += stop.pieces
            if stop.here is not None:
                pieces.append(stop.here)
    parts = registers.read(devices, pieces)
    found = {}
    for device in devices:
        start = registers.before(device, cells[0].begin, shelves)
        found[device] = _follow(device, cells, parts, registers.judge(device), start)
    return found


def _follow(
    device: str, cells: Sequence[Cell], parts: dict[Key, Part], judge: Judge, start: State | None
) -> Registered:
    """Go along the chain and look at the register at each boundary."""
    result = Registered(readings=[])
    so_far = start
    for cell in cells:
        for stop in cell.stops:
            result.readings.append(_look(device, stop, parts, judge, so_far))
        for piece in cell.pieces:
            part = parts.get((device, piece))
            if part is not None:
                so_far = part.state if so_far is None else merge_counters([so_far, part.state], judge)
    pieces = [piece for cell in cells for piece in cell.pieces]
    pieces += [piece for cell in cells for stop in cell.stops for piece in stop.pieces]
    unsettled = (piece.begin for piece in pieces if (part := parts.get((device, piece))) and not part.settled)
    result.open_from = min(unsettled, default=None)
    return result


def _look(device: str, stop: Stop, parts: dict[Key, Part], judge: Judge, so_far: State | None) -> Reading | None:
    if stop.at is None:
        return None
    states = [] if so_far is None else [so_far]
    states += [parts[device, piece].state for piece in stop.pieces if (device, piece) in parts]
    here = None if stop.here is None else parts.get((device, stop.here))
    if here is not None and here.state["first_at"] == stop.at:
        states.append(counter_of([here.state["first"]], [here.state["first_at"]]))
    if not states:
        return None
    state = merge_counters(states, judge)
    return Reading(value=state["last"], at=state["last_at"], counted=round(energy(state) * UNIT), samples=state["n"])
