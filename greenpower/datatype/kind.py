"""Kinds of measured values. The kind alone decides the statistics in a field's rollups."""

from enum import StrEnum


class Kind(StrEnum):
    """The kind of a measured value.

    GAUGE: goes up and down, averaged. COUNTER: a register that only rises, differenced. NET: a register that may fall,
    too, since it nets one direction against the other. DAILY: a register that begins again each local day. DELTA: what
    was used since the last message, summed. ANGLE: degrees that wrap at 360, averaged on the circle. STATE: the last
    value is kept. ENUMERATION: a state whose codes have names, with the time that each held.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    NET = "net"
    DELTA = "delta"
    DAILY = "daily"
    ANGLE = "angle"
    STATE = "state"
    ENUMERATION = "enumeration"

    @property
    def has_energy(self) -> bool:
        """Whether it tells what was used or made: then it has a place in the interval ledger, and incidents."""
        return self is Kind.DELTA or self.is_register

    @property
    def is_register(self) -> bool:
        """Whether its values are the readings of a register: energy is what lies between two of them."""
        return self in _REGISTERS


_REGISTERS = frozenset({Kind.COUNTER, Kind.NET, Kind.DAILY})
#: the kinds with energy
ENERGY_KINDS = tuple(kind for kind in Kind if kind.has_energy)
