"""Order of the phases: positive against negative sequence voltage."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="phase_order",
    title="Two phases are exchanged, voltages and currents alike",
    look="Compare the phase order at the meter with a phase-sequence tester. Energy is right; names of phases, "
    "angles and "
    "reactive power of some meters are not, and motors behind may turn backwards.",
)
POSITIVE, NEGATIVE = Electrical.POSITIVE_SEQUENCE_VOLTAGE, Electrical.NEGATIVE_SEQUENCE_VOLTAGE


def ask(circuit: Circuit) -> Outcome:
    """Where the phases are in order, nearly all voltage is of positive sequence."""
    rows = circuit.rows((POSITIVE, ""), (NEGATIVE, ""))
    rows = rows.where(lambda _, row: max(row) > 0)
    if len(rows) < limit("samples"):
        return NotAsked("positive and negative sequence voltage are needed")
    faulty = sum(row[1] > row[0] for row in rows.values)
    if faulty < limit("share") * len(rows):
        return Passed(len(rows))
    positive, negative = median(rows.column(0)), median(rows.column(1))
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, certainty=Certainty.SURE,
        saw=f"The voltage of negative sequence is {negative:.4g} V, that of positive sequence {positive:.4g} V "
        "(medians).",
        figures={"positive_v": positive, "negative_v": negative}, faulty=faulty, samples=len(rows),
    )  # fmt: skip


CHECK = WiringCheck(
    name="phase_order", compares="voltage of positive with that of negative sequence", faults=(FAULT,), ask=ask
)
