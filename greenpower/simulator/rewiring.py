"""The values of a reading of a meter that is wired with a fault. Pure functions of values and time.

What belongs here: what a meter shows of the voltages and currents at its terminals, by the quantities that the fields
declare, so any type can have each fault. What does not: the faults (`wiring_fault`).
"""

from __future__ import annotations

from cmath import rect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from math import atan2, radians

from greenpower.datatype import Electrical, Field
from greenpower.simulator.curve import HOUR
from greenpower.simulator.feeder import Feeder, State
from greenpower.simulator.phasors import Phasors
from greenpower.simulator.wiring_fault import WIRING_FAULTS

PHASES = ("a", "b", "c")
THIRD_TURN = radians(-120.0)
#: at one of these hours a feeder has its usual load
LOADED_HOURS = (12, 19)
OPPOSITE = {
    Electrical.ACTIVE_ENERGY: Electrical.ACTIVE_ENERGY_RETURNED,
    Electrical.ACTIVE_ENERGY_RETURNED: Electrical.ACTIVE_ENERGY,
}
Rewire = Callable[[Phasors], Phasors]


def rewired(
    fields: Iterable[Field], values: Mapping[str, float], name: str, feeder: Feeder, second: float
) -> dict[str, float]:
    """What a meter shows of a feeder at a local second, wired with a fault. values: what it shows wired well.

    Fields without a quantity stay as they are; so do all where the feeder has not three phases.
    """
    fault, result = WIRING_FAULTS[name], dict(values)
    known = [field for field in fields if field.measures and field.name in values and not field.circuit]
    by_key = {(Electrical(field.measures), field.phase): field.name for field in known}
    if fault.rewire is not None and len(feeder.at(second).phases) == len(PHASES):
        now = fault.rewire(_phasors(feeder.at(second)))
        for field in known:
            value = _value(Electrical(field.measures), field.phase, now)
            result[field.name] = result[field.name] if value is None else value
        # Registers follow what the meter takes the power for.
        net = _energy_ratio(fault.rewire, feeder)
        for register, other in OPPOSITE.items():
            if (register, "") in by_key:
                source = by_key.get((register if net >= 0 else other, ""))
                result[by_key[register, ""]] = abs(net) * (0.0 if source is None else values[source])
    if fault.exchanged:
        for (quantity, phase), field_name in by_key.items():
            opposite = OPPOSITE.get(quantity)
            if opposite is not None and (opposite, phase) in by_key:
                result[field_name] = values[by_key[opposite, phase]]
    if fault.without and (Electrical.ACTIVE_POWER, "") in by_key:
        part = by_key[Electrical.ACTIVE_POWER, fault.without]
        result[by_key[Electrical.ACTIVE_POWER, ""]] -= result[part]
    for scaled, factor in fault.scaled:
        for (quantity, _), field_name in by_key.items():
            if quantity is scaled:
                result[field_name] *= factor
    return result


def _phasors(state: State) -> Phasors:
    """The voltages and currents of three phases, the first voltage at 0°."""
    turns = [THIRD_TURN * number for number in range(len(PHASES))]
    return Phasors(
        tuple(rect(phase.u, turn) for phase, turn in zip(state.phases, turns, strict=True)),
        tuple(rect(phase.i, turn - atan2(phase.q, phase.p)) for phase, turn in zip(state.phases, turns, strict=True)),
    )


@cache
def _energy_ratio(rewire: Rewire, feeder: Feeder) -> float:
    """Total active power at the terminals over that of the feeder, at a usual load."""
    usual = _phasors(max((feeder.at(hour * HOUR) for hour in LOADED_HOURS), key=lambda state: state.load))
    before = sum(usual.powers()).real
    return sum(rewire(usual).powers()).real / before if before else 1.0


def _value(quantity: Electrical, phase: str, now: Phasors) -> float | None:
    """What a meter shows of a quantity; None for what the wiring does not change."""
    if len(phase) == 2:
        one, other = (now.voltages[PHASES.index(name)] for name in phase)
        return abs(one - other)
    if quantity is Electrical.POSITIVE_SEQUENCE_VOLTAGE or quantity is Electrical.NEGATIVE_SEQUENCE_VOLTAGE:
        step = rect(1, -THIRD_TURN if quantity is Electrical.POSITIVE_SEQUENCE_VOLTAGE else THIRD_TURN)
        first, second, third = now.voltages
        return abs(first + second * step + third * step * step) / 3
    if phase == "n":
        return None
    if phase:
        at = PHASES.index(phase)
        u, i, power = now.voltages[at], now.currents[at], now.powers()[at]
    else:
        u, i, power = (
            complex(sum(map(abs, now.voltages)) / 3),
            complex(sum(map(abs, now.currents)) / 3),
            sum(now.powers()),
        )
    match quantity:
        case Electrical.VOLTAGE:
            return abs(u)
        case Electrical.CURRENT:
            return abs(i)
        case Electrical.ACTIVE_POWER:
            return power.real
        case Electrical.REACTIVE_POWER:
            return power.imag
        case Electrical.APPARENT_POWER:
            return abs(power)
        case Electrical.POWER_FACTOR:
            return power.real / abs(power) if power else 1.0
    return None
