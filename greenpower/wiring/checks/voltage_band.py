"""Voltage against the nominal voltages that there are."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit, named
from greenpower.wiring.figures import quantile
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="voltage_band",
    title="The voltage is near no usual voltage",
    look="Measure the voltage at the meter's terminals. If it differs, check the VT ratio and the wiring (line "
    "or phase "
    "voltage) in the meter's settings, and scale and register in the register list. If it agrees, the supply is the "
    "fault.",
    explains=frozenset({"power_scale"}),
)
VOLTAGE = Electrical.VOLTAGE
#: V, to neutral or between lines, at the meter's terminals or behind VTs
NOMINAL_VOLTAGES = (24, 48, 57.7, 63.5, 100, 110, 120, 127, 208, 220, 230, 240, 277, 347, 400, 440, 480, 600, 690)
#: above it there is a VT, and any voltage
MEDIUM_VOLTAGE = 1_000
#: below it nothing is connected
NO_VOLTAGE = 10


def ask(circuit: Circuit) -> Outcome:
    """Compare the median of each phase with the nearest nominal voltage."""
    asked, found = 0, []
    for part in circuit.parts:
        rows = circuit.series(VOLTAGE, part)
        values = [row[0] for row in rows.values if row[0] > NO_VOLTAGE]
        if len(values) < limit("samples"):
            continue
        asked += len(values)
        faulty = sum(not _usual(value) for value in values)
        if faulty >= limit("share") * len(values):
            found.append((part, median(values), faulty, len(values), quantile(values, 0.05), quantile(values, 0.95)))
    if not asked:
        return NotAsked("voltage to neutral is needed, of a circuit that is on")
    if not found:
        return Passed(asked)
    part, volts, _, _, low, high = found[0]
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, phases=tuple(item[0] for item in found if item[0]),
        certainty=Certainty.LIKELY,
        saw=f"The voltage of {named([part])} is {volts:.4g} V (median; mostly {low:.4g} to {high:.4g} V).",
        figures={"voltage_v": volts}, faulty=sum(item[2] for item in found), samples=sum(item[3] for item in found),
    )  # fmt: skip


def _usual(volts: float) -> bool:
    if volts >= MEDIUM_VOLTAGE:
        return True
    return any(abs(volts / nominal - 1) <= limit("voltage_band") for nominal in NOMINAL_VOLTAGES)


CHECK = WiringCheck(name="voltage_band", compares="voltage with usual nominal voltages", faults=(FAULT,), ask=ask)
