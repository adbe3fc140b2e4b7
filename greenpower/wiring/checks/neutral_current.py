"""Neutral current against the currents of the phases."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import PHASES, Circuit
from greenpower.wiring.figures import angle_of, vector_sum
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="neutral_current",
    title="The neutral current does not fit the phases",
    look="Compare the CTs of phases and neutral: ratio, and which conductor each is around. A clamp meter around the "
    "neutral shows which one is wrong.",
)
CURRENT, ACTIVE, REACTIVE = Electrical.CURRENT, Electrical.ACTIVE_POWER, Electrical.REACTIVE_POWER


def ask(circuit: Circuit) -> Outcome:
    """It cannot be above the sum of the phases, and not much below their vector sum. Harmonics make it higher."""
    keys = [*((CURRENT, phase) for phase in PHASES), (CURRENT, "n")]
    if not circuit.has(*keys) or circuit.phases != PHASES:
        return NotAsked("current of three connected phases and of the neutral is needed")
    powers = [(quantity, phase) for quantity in (ACTIVE, REACTIVE) for phase in PHASES]
    known = circuit.has(*keys, *powers)
    rows = circuit.rows(*keys, *(powers if known else ()))
    total = max((sum(map(abs, row[:3])) for row in rows.values), default=0.0)
    rows = rows.where(lambda _, row: sum(map(abs, row[:3])) >= limit("load") * total > 0)
    if not any(row[3] for row in rows.values):
        return NotAsked("the current of the neutral is 0 all day: it is not measured")
    if len(rows) < limit("samples"):
        return NotAsked("not enough load")
    digits = limit("digits") * max(rows.digits(number) for number in range(4))
    faulty = []
    for row in rows.values:
        vector = _vector(row, known)
        mean = sum(map(abs, row[:3])) / 3
        high = abs(row[3]) > limit("neutral_high") * 3 * mean + digits
        low = vector >= limit("neutral_least") * mean + digits and abs(row[3]) < limit("neutral_low") * vector
        if high or low:
            faulty.append((abs(row[3]), vector))
    if len(faulty) < limit("share") * len(rows):
        return Passed(len(rows))
    neutral, vector = (median(pair[number] for pair in faulty) for number in range(2))
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, phases=(), certainty=Certainty.POSSIBLE,
        saw=f"The neutral has {neutral:.4g} A, where the phases make {vector:.4g} A (medians).",
        figures={"neutral_a": neutral, "from_phases_a": vector}, faulty=len(faulty), samples=len(rows),
    )  # fmt: skip


def _vector(row: tuple[float, ...], known: bool) -> float:
    """The vector sum of the phases: with the angles of the powers, or with one angle for all."""
    angles = [angle_of(row[4 + at], row[7 + at]) if known else (0.0 if row[at] >= 0 else 180.0) for at in range(3)]
    return vector_sum((abs(row[at]), -120.0 * at - angles[at]) for at in range(3))


CHECK = WiringCheck(
    name="neutral_current", compares="neutral current with the currents of the phases", faults=(FAULT,), ask=ask
)
