"""Power factor against active and apparent power, and against 1."""

from __future__ import annotations

from math import hypot
from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit, loaded, named
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="power_factor",
    title="The power factor cannot be",
    look="Compare the power factor on the meter's display with active and apparent power. If it is right there, it is "
    "read from a wrong register or scale, or it is a percentage, or sin φ or tan φ.",
)
ACTIVE, REACTIVE = Electrical.ACTIVE_POWER, Electrical.REACTIVE_POWER
APPARENT, FACTOR = Electrical.APPARENT_POWER, Electrical.POWER_FACTOR
#: two decimals and a rounded 1
ABOVE_ONE = 1.01


def ask(circuit: Circuit) -> Outcome:
    """Compare |pf| with |P| / S, and with |P| / √(P² + Q²) for meters that leave harmonics out. Signs are each maker's
    own."""
    asked, found = 0, []
    for phase in ("", *circuit.phases):
        keys = [(FACTOR, phase), (ACTIVE, phase)]
        others = [(key, phase) for key in (APPARENT, REACTIVE) if circuit.has(*keys, (key, phase))]
        if not others:
            continue
        rows = loaded(circuit.rows(*keys, *others), 1)
        if len(rows) < limit("samples"):
            continue
        asked += len(rows)
        faulty = [row for row in rows.values if not _fits(row, others[0][0] is APPARENT, len(others) > 1, bool(phase))]
        if len(faulty) >= limit("share") * len(rows):
            found.append((phase, faulty, len(rows), others[0][0] is APPARENT))
    if not asked:
        return NotAsked("power factor, active power, and apparent or reactive power are needed, under load")
    if not found:
        return Passed(asked)
    phase, faulty, _, apparent = found[0]
    shown = median(abs(row[0]) for row in faulty)
    worked_out = median(abs(row[1]) / _apparent(row, apparent) for row in faulty)
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, certainty=Certainty.SURE, phases=tuple(item[0] for item in found if item[0]),
        saw=f"At {named([phase])} the power factor is {shown:.3g}, where the powers make {worked_out:.3g} (medians).",
        figures={"power_factor": shown, "from_powers": worked_out},
        faulty=sum(len(item[1]) for item in found), samples=sum(item[2] for item in found),
    )  # fmt: skip


def _apparent(row: tuple[float, ...], sent: bool) -> float:
    return abs(row[2]) if sent else hypot(row[1], row[2])


def _fits(row: tuple[float, ...], sent: bool, both: bool, phase: bool) -> bool:
    factor, active = abs(row[0]), abs(row[1])
    apparent = _apparent(row, sent)
    if factor > ABOVE_ONE or not apparent:
        return False
    lowest = highest = active / apparent
    if both:
        # Of a total the sum of amounts may have been taken, or the vector sum.
        highest = max(highest, active / (hypot(row[1], row[3]) or 1.0))
        lowest = min(lowest, active / (hypot(row[1], row[3]) or 1.0)) if not phase else lowest
    elif sent:
        highest += limit("factor_distorted")
    return lowest - limit("factor") <= factor <= highest + limit("factor")


CHECK = WiringCheck(
    name="power_factor", compares="power factor with active and apparent power, and with 1", faults=(FAULT,), ask=ask
)
