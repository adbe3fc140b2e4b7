"""Voltages between phases against those to neutral."""

from __future__ import annotations

from math import sqrt
from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import PAIRS, Circuit
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

SAME_PHASE = WiringFault(
    name="same_phase",
    title="Two voltage leads are on one phase",
    look="Measure between these two voltage terminals of the meter: it must be the line voltage, and is near 0 V.",
    explains=frozenset({"line_voltage", "phase_order", "reversed_ct", "neutral_current"}),
)
FAULT = WiringFault(
    name="line_voltage",
    title="Line voltages do not fit the phase voltages",
    look="Measure the voltages at the meter's terminals. If its display agrees with them, a wrong register is read; if "
    "not, look at the neutral terminal and at the wiring that is set (three or four wires).",
    explains=frozenset({"voltage_band"}),
)
VOLTAGE = Electrical.VOLTAGE
#: of the phase voltage: below it two leads are on one phase
NEARLY_NOTHING = 0.2


def ask(circuit: Circuit) -> Outcome:
    """Compare each line voltage with √(a² + b² + ab), which it is between phases that are 120° apart."""
    asked, found = 0, []
    for pair in PAIRS:
        rows = circuit.rows((VOLTAGE, pair), (VOLTAGE, pair[0]), (VOLTAGE, pair[1]))
        rows = rows.where(lambda _, row: row[1] > 0 and row[2] > 0)
        if len(rows) < limit("samples"):
            continue
        asked += len(rows)
        wanted = [sqrt(a * a + b * b + a * b) for _, a, b in rows.values]
        off = [abs(row[0] / line - 1) > limit("line_voltage") for row, line in zip(rows.values, wanted, strict=True)]
        if sum(off) >= limit("share") * len(off):
            nothing = sum(row[0] < NEARLY_NOTHING * row[1] for row in rows.values) >= limit("share") * len(off)
            found.append((not nothing, pair, median(rows.column(0)), median(wanted), sum(off), len(off)))
    if not asked:
        return NotAsked("voltages between phases and to neutral are needed, of a circuit that is on")
    if not found:
        return Passed(asked)
    other, pair, volts, line, faulty, samples = min(found)
    return WiringFinding(
        fault=FAULT if other else SAME_PHASE, circuit=circuit.name, phases=tuple(pair), certainty=Certainty.SURE,
        saw=f"Between phases {pair[0].upper()} and {pair[1].upper()} there are {volts:.4g} V, where {line:.4g} V "
        "follow "
        "from their voltages to neutral (medians).",
        figures={"line_v": volts, "from_phases_v": line}, faulty=faulty, samples=samples,
    )  # fmt: skip


CHECK = WiringCheck(
    name="line_voltage", compares="voltages between phases with those to neutral", faults=(SAME_PHASE, FAULT), ask=ask
)
