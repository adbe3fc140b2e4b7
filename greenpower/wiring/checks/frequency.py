"""Frequency against 50 and 60 Hz."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="frequency",
    title="The frequency cannot be",
    look="Compare with the meter's display: mostly a wrong register or scale is read. If it is right, the meter "
    "measures "
    "an inverter or a generator that does not hold its frequency.",
)
#: Hz: grids, and those of railways and aircraft
NOMINAL_FREQUENCIES = (50.0, 60.0, 16.7, 400.0)


def ask(circuit: Circuit) -> Outcome:
    """Compare each value that is not 0: a circuit that is off has none."""
    for part in ("", *circuit.parts):
        values = [row[0] for row in circuit.series(Electrical.FREQUENCY, part).values if row[0]]
        if len(values) >= limit("samples"):
            break
    else:
        return NotAsked("frequency is needed, of a circuit that is on")
    faulty = sum(all(abs(value - usual) > limit("frequency") for usual in NOMINAL_FREQUENCIES) for value in values)
    if faulty < limit("share") * len(values):
        return Passed(len(values))
    hertz = median(values)
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, certainty=Certainty.LIKELY, saw=f"The frequency is {hertz:.4g} Hz (median).",
        figures={"frequency_hz": hertz}, faulty=faulty, samples=len(values),
    )  # fmt: skip


CHECK = WiringCheck(name="frequency", compares="frequency with 50 and 60 Hz", faults=(FAULT,), ask=ask)
