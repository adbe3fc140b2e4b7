"""Voltages and currents at the terminals of a meter, as complex numbers: what a wiring fault changes.

What belongs here: the three phases as one value, and moving, turning and scaling them. What does not: faults
(`wiring_fault`), values of readings (`rewiring`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phasors:
    """Voltages in V and currents in A of three phases, as complex numbers, as the meter's terminals have them."""

    voltages: tuple[complex, ...]
    currents: tuple[complex, ...]

    def currents_by(self, *factors: complex) -> Phasors:
        """With each current multiplied."""
        return Phasors(self.voltages, tuple(i * k for i, k in zip(self.currents, factors, strict=True)))

    def currents_of(self, *order: int) -> Phasors:
        """With the current of these phases at the terminals a, b, c."""
        return Phasors(self.voltages, tuple(self.currents[number] for number in order))

    def voltages_of(self, *order: int) -> Phasors:
        """With the voltage of these phases at the terminals a, b, c."""
        return Phasors(tuple(self.voltages[number] for number in order), self.currents)

    def voltages_by(self, *factors: float) -> Phasors:
        """With each voltage multiplied."""
        return Phasors(tuple(u * k for u, k in zip(self.voltages, factors, strict=True)), self.currents)

    def powers(self) -> list[complex]:
        """Of each phase the active power in kW and, as its imaginary part, the reactive power in kvar."""
        return [u * i.conjugate() / 1000 for u, i in zip(self.voltages, self.currents, strict=True)]
