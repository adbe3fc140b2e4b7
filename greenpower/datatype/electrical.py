"""Which electrical quantity a field measures, and of which phase: so that quantities can be held against each other.

What belongs here: the closed vocabulary, the unit of each quantity, and what a declaration may say. What does not: what
is compared (`greenpower.wiring`).
"""

from __future__ import annotations

from enum import StrEnum

from greenpower.datatype.error import DeclarationError
from greenpower.datatype.kind import Kind
from greenpower.datatype.unit import unit_of

#: "" is the total, the only phase, or of a voltage the mean of all
PHASES_OF_VALUES = ("", "a", "b", "c")
LINE_PHASES = ("ab", "bc", "ca")
NEUTRAL_PHASE = "n"
MAX_CIRCUIT_CHARACTERS = 32


class Electrical(StrEnum):
    """A quantity of a circuit.

    Powers, power factor and registers have one sign: `active_energy` rises while `active_power` is above 0,
    `active_energy_returned` while it is below. `active_power_returned` is for meters that tell both ways as two values
    that are never below 0.
    """

    VOLTAGE = "voltage"
    CURRENT = "current"
    ACTIVE_POWER = "active_power"
    ACTIVE_POWER_RETURNED = "active_power_returned"
    REACTIVE_POWER = "reactive_power"
    APPARENT_POWER = "apparent_power"
    POWER_FACTOR = "power_factor"
    FREQUENCY = "frequency"
    ACTIVE_ENERGY = "active_energy"
    ACTIVE_ENERGY_RETURNED = "active_energy_returned"
    POSITIVE_SEQUENCE_VOLTAGE = "positive_sequence_voltage"
    NEGATIVE_SEQUENCE_VOLTAGE = "negative_sequence_voltage"

    @property
    def unit(self) -> str:
        """The unit in which it is compared."""
        return _UNITS[self]

    @property
    def is_register(self) -> bool:
        """Whether it is counted: several fields of one circuit and phase are added up then."""
        return self in _REGISTERS

    def phases(self) -> tuple[str, ...]:
        """The phases that it can be of."""
        match self:
            case Electrical.VOLTAGE:
                return (*PHASES_OF_VALUES, *LINE_PHASES)
            case Electrical.CURRENT:
                return (*PHASES_OF_VALUES, NEUTRAL_PHASE)
            case Electrical.POSITIVE_SEQUENCE_VOLTAGE | Electrical.NEGATIVE_SEQUENCE_VOLTAGE:
                return ("",)
        return PHASES_OF_VALUES


_REGISTERS = frozenset({Electrical.ACTIVE_ENERGY, Electrical.ACTIVE_ENERGY_RETURNED})
_UNITS = {
    Electrical.VOLTAGE: "V",
    Electrical.CURRENT: "A",
    Electrical.ACTIVE_POWER: "kW",
    Electrical.ACTIVE_POWER_RETURNED: "kW",
    Electrical.REACTIVE_POWER: "kvar",
    Electrical.APPARENT_POWER: "kVA",
    Electrical.POWER_FACTOR: "1",
    Electrical.FREQUENCY: "Hz",
    Electrical.ACTIVE_ENERGY: "kWh",
    Electrical.ACTIVE_ENERGY_RETURNED: "kWh",
    Electrical.POSITIVE_SEQUENCE_VOLTAGE: "V",
    Electrical.NEGATIVE_SEQUENCE_VOLTAGE: "V",
}


def check_electrical(measures: str, phase: str, circuit: str, unit: str, kind: Kind) -> None:
    """Raise DeclarationError for a quantity that is not known, and for one that unit, kind or phase do not fit."""
    if not measures:
        if phase or circuit:
            raise DeclarationError(f"phase={phase!r} and circuit={circuit!r} need measures=, the quantity")
        return
    try:
        quantity = Electrical(measures)
    except ValueError:
        raise DeclarationError(f"unknown quantity measures={measures!r}; choose from {', '.join(Electrical)}") from None
    wanted = unit_of(quantity.unit)
    if unit_of(unit).quantity != wanted.quantity:
        raise DeclarationError(f"measures={measures!r} is {wanted.quantity}, in {wanted} and the like, not in {unit}")
    fitting = (Kind.COUNTER, Kind.NET) if quantity.is_register else (Kind.GAUGE,)
    if kind not in fitting:
        raise DeclarationError(f"measures={measures!r} is for kind {' or '.join(fitting)}, not {kind}")
    if phase not in quantity.phases():
        raise DeclarationError(f"phase={phase!r} of {measures}: choose from {', '.join(map(repr, quantity.phases()))}")
    if len(circuit) > MAX_CIRCUIT_CHARACTERS or not circuit.isprintable():
        raise DeclarationError(f"circuit={circuit!r} is not at most {MAX_CIRCUIT_CHARACTERS} printable characters")
