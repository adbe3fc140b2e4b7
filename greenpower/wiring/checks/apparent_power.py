"""Apparent power against active and reactive power, per phase and for the total."""

from __future__ import annotations

from math import hypot
from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit, loaded, named
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="apparent_power",
    title="Apparent power does not fit active and reactive power",
    look="Compare the three powers on the meter's display. If they agree there, one of them is read from a wrong "
    "register, or with a wrong scale or sign.",
    explains=frozenset({"power_factor"}),
)
ACTIVE, REACTIVE, APPARENT = Electrical.ACTIVE_POWER, Electrical.REACTIVE_POWER, Electrical.APPARENT_POWER


def ask(circuit: Circuit) -> Outcome:
    """Compare S with √(P² + Q²). The total of a circuit with phases may be the vector sum or the sum of amounts."""
    asked, found = 0, []
    for phase in ("", *circuit.phases):
        keys = ((ACTIVE, phase), (REACTIVE, phase), (APPARENT, phase))
        if not circuit.has(*keys):
            continue
        rows = loaded(circuit.rows(*keys), 2)
        if len(rows) < limit("samples"):
            continue
        asked += len(rows)
        digits = sum(rows.digits(number) for number in range(3))
        # With unbalanced phases the sum of amounts can be far above the vector sum.
        high = limit("apparent_high") * (1.0 if phase or not circuit.phases else 3.0)
        faulty = [row for row in rows.values if not _fits(row, high, digits)]
        if len(faulty) >= limit("share") * len(rows):
            found.append((phase, faulty, len(rows)))
    if not asked:
        return NotAsked("active, reactive and apparent power of one phase or of the total are needed, under load")
    if not found:
        return Passed(asked)
    phase, faulty, _ = found[0]
    active, reactive, apparent = (median(abs(row[number]) for row in faulty) for number in range(3))
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, certainty=Certainty.SURE, phases=tuple(one for one, _, _ in found if one),
        saw=f"At {named([phase])} apparent power is {apparent:.4g} kVA, where active power of {active:.4g} kW and "
        f"reactive power of {reactive:.4g} kvar make {hypot(active, reactive):.4g} kVA (medians).",
        figures={"active_kw": active, "reactive_kvar": reactive, "apparent_kva": apparent},
        faulty=sum(len(rows) for _, rows, _ in found), samples=sum(count for _, _, count in found),
    )  # fmt: skip


def _fits(row: tuple[float, ...], high: float, digits: float) -> bool:
    vector, apparent = hypot(row[0], row[1]), abs(row[2])
    return vector * (1 - limit("apparent_low")) - digits <= apparent <= vector * high + digits


CHECK = WiringCheck(
    name="apparent_power", compares="apparent power with active and reactive power", faults=(FAULT,), ask=ask
)
