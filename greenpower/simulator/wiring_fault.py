"""Wiring faults of a simulated meter: leads, current transformers and registers that are not what they should be.

What belongs here: the faults by name, and what the checks of the wiring call each. What does not: the values of a
reading under one (`rewiring`), faults of frames (`fault`) and of registers over time (`register_fault`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from greenpower.datatype import Electrical
from greenpower.simulator.phasors import Phasors


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedWiring:
    """A fault. named: what the checks call it. rewire: from the phasors of the circuit to the terminals.
    scaled: factors of quantities that are read wrong. exchanged: import and export register. without: a phase that the
    total power leaves out."""

    meaning: str
    named: str
    rewire: Callable[[Phasors], Phasors] | None = None
    scaled: tuple[tuple[Electrical, float], ...] = ()
    exchanged: bool = False
    without: str = ""


POWERS = (Electrical.ACTIVE_POWER, Electrical.REACTIVE_POWER, Electrical.APPARENT_POWER)
WIRING_FAULTS: dict[str, SimulatedWiring] = {
    "reversed-ct": SimulatedWiring(
        meaning="the CT of phase B is turned around", named="reversed_ct",
        rewire=lambda at: at.currents_by(1, -1, 1),
    ),
    "two-reversed-cts": SimulatedWiring(
        meaning="the CTs of phases A and C are turned around", named="reversed_ct",
        rewire=lambda at: at.currents_by(-1, 1, -1),
    ),
    "all-reversed": SimulatedWiring(
        meaning="all CTs are turned around", named="all_reversed", rewire=lambda at: at.currents_by(-1, -1, -1)
    ),
    "swapped-cts": SimulatedWiring(
        meaning="the CTs of phases A and B are exchanged", named="swapped_cts",
        rewire=lambda at: at.currents_of(1, 0, 2),
    ),
    "swapped-leads": SimulatedWiring(
        meaning="the voltage leads of phases B and C are exchanged", named="swapped_cts",
        rewire=lambda at: at.voltages_of(0, 2, 1),
    ),
    "rotated-cts": SimulatedWiring(
        meaning="the CTs are moved on by one phase", named="rotated_cts",
        rewire=lambda at: at.currents_of(1, 2, 0),
    ),
    "voltage-lead": SimulatedWiring(
        meaning="the voltage lead of phase B is on phase A", named="voltage_lead",
        rewire=lambda at: at.voltages_of(0, 0, 2),
    ),
    "wrong-conductor": SimulatedWiring(
        meaning="the CT of phase C is around the conductor of phase A", named="ct_on_wrong_conductor",
        rewire=lambda at: at.currents_of(0, 1, 0),
    ),
    "phase-order": SimulatedWiring(
        meaning="phases B and C are exchanged, voltages and currents alike", named="phase_order",
        rewire=lambda at: at.voltages_of(0, 2, 1).currents_of(0, 2, 1),
    ),
    "open-lead": SimulatedWiring(
        meaning="the voltage lead of phase C is open", named="voltage_missing",
        rewire=lambda at: at.voltages_by(1, 1, 0.04),
    ),
    "open-ct": SimulatedWiring(
        meaning="the CT of phase A is not closed", named="current_missing",
        rewire=lambda at: at.currents_by(0.001, 1, 1),
    ),
    "ct-ratio-phase": SimulatedWiring(
        meaning="the CT of phase A is of half the ratio", named="ct_ratio_phase",
        rewire=lambda at: at.currents_by(2, 1, 1),
    ),
    "vt-ratio": SimulatedWiring(
        meaning="voltages are read at 0.7 of what they are", named="voltage_band",
        rewire=lambda at: at.voltages_by(0.7, 0.7, 0.7),
    ),
    "power-scale": SimulatedWiring(
        meaning="powers are read in W and taken for kW", named="power_scale",
        scaled=tuple((power, 1000.0) for power in POWERS),
    ),
    "register-unit": SimulatedWiring(
        meaning="registers are read in Wh and taken for kWh", named="register_unit",
        scaled=((Electrical.ACTIVE_ENERGY, 1000.0), (Electrical.ACTIVE_ENERGY_RETURNED, 1000.0)),
    ),
    "register-ratio": SimulatedWiring(
        meaning="registers count without the CT ratio of 40", named="register_ratio",
        scaled=((Electrical.ACTIVE_ENERGY, 0.025), (Electrical.ACTIVE_ENERGY_RETURNED, 0.025)),
    ),
    "exchanged-registers": SimulatedWiring(
        meaning="import and export register are exchanged", named="register_direction", exchanged=True
    ),
    "total-without-phase": SimulatedWiring(
        meaning="total power leaves out phase B", named="phase_sum", without="b"
    ),
    "apparent-scale": SimulatedWiring(
        meaning="apparent power is read at 0.6 of what it is", named="apparent_power",
        scaled=((Electrical.APPARENT_POWER, 0.6),),
    ),
    "power-factor": SimulatedWiring(
        meaning="the power factor is read at half of what it is", named="power_factor",
        scaled=((Electrical.POWER_FACTOR, 0.5),),
    ),
    "frequency": SimulatedWiring(
        meaning="the frequency is read in half hertz", named="frequency", scaled=((Electrical.FREQUENCY, 0.5),)
    ),
}  # fmt: skip
