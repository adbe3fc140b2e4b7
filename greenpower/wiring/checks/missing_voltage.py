"""A phase with current and without voltage: its voltage lead is open, or its fuse has blown."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit, loaded, named
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="voltage_missing",
    title="A phase has current and no voltage",
    look="Look at the fuse and the clamp of this voltage lead. Until it is back, the energy of this phase is not "
    "measured.",
    explains=frozenset(
        {
            "voltage_band", "line_voltage", "phase_order", "power_factor", "apparent_power", "power_scale",
            "ct_ratio_phase", "swapped_cts", "voltage_lead", "neutral_current", "current_missing",
        }
    ),
)  # fmt: skip
VOLTAGE, CURRENT = Electrical.VOLTAGE, Electrical.CURRENT
#: what a circuit of one phase has at least, in V
LEAST_VOLTAGE = 30.0


def ask(circuit: Circuit) -> Outcome:
    """Compare each phase's voltage with the highest, while it has current; of a single phase with 30 V."""
    parts = tuple(part for part in circuit.parts if circuit.has((VOLTAGE, part), (CURRENT, part)))
    if not parts:
        return NotAsked("voltage and current of the same phase are needed")
    keys = [*((VOLTAGE, part) for part in parts), *((CURRENT, part) for part in parts)]
    if not circuit.has(*keys):
        return NotAsked("voltage and current of all phases in one reading are needed")
    asked, found = 0, []
    for at, part in enumerate(parts):
        rows = loaded(circuit.rows(*keys), at + len(parts))
        if len(rows) < limit("samples"):
            continue
        asked += len(rows)
        lowest = [
            limit("voltage_low") * max(row[: len(parts)]) if len(parts) > 1 else LEAST_VOLTAGE for row in rows.values
        ]
        faulty = sum(abs(row[at]) < bound for row, bound in zip(rows.values, lowest, strict=True))
        if faulty >= limit("share") * len(rows):
            volts, amperes = median(rows.column(at)), median(rows.column(at + len(parts)))
            found.append((part, volts, amperes, faulty, len(rows)))
    if not asked:
        return NotAsked("no phase has enough current")
    if not found:
        return Passed(asked)
    part, volts, amperes, *_ = found[0]
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, phases=tuple(item[0] for item in found if item[0]), certainty=Certainty.SURE,
        saw=f"There are {volts:.4g} V while {amperes:.4g} A flow (medians of {named([part])}).",
        figures={"voltage_v": volts, "current_a": amperes},
        faulty=sum(item[3] for item in found), samples=sum(item[4] for item in found),
    )  # fmt: skip


CHECK = WiringCheck(
    name="missing_voltage", compares="voltage of a phase that has current with the other phases", faults=(FAULT,),
    ask=ask,
)  # fmt: skip
