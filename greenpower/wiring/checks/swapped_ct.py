"""Voltages and currents that do not belong together: a power turned by 120° against the others.

Of a phase with the current of another the angle is that of its load, turned by 120°: two exchanged CTs turn one phase
by +120° and the other by -120°; three that are moved on by one turn all by the same; a single phase is turned where its
voltage lead, or its CT, is on another conductor.
"""

from __future__ import annotations

from math import acos, cos, degrees, radians
from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import PHASES, Circuit, CircuitRows, loaded, named, too_few
from greenpower.wiring.figures import angle_of, close, middle_angle, spread, turn
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FOLLOWING = frozenset({"reversed_ct", "all_reversed", "register_direction", "neutral_current", "ct_ratio_phase"})
SWAPPED = WiringFault(
    name="swapped_cts",
    title="Currents of two phases are exchanged",
    look="Follow the wires of both CTs from the conductor to the meter: they are exchanged, or the two voltage "
    "leads are. "
    "Exchange one pair only.",
    explains=FOLLOWING | {"phase_order"},
)
ROTATED = WiringFault(
    name="rotated_cts",
    title="Currents of all three phases are moved on by one",
    look="Follow the wires of all CTs, and the voltage leads: the order of one of the two is moved on by one phase.",
    explains=FOLLOWING,
)
LEAD = WiringFault(
    name="voltage_lead",
    title="A voltage lead is on another phase",
    look="Measure between this voltage terminal of the meter and the conductor inside its CT: it must be 0 V.",
    explains=FOLLOWING | {"line_voltage", "phase_order", "same_phase"},
)
CONDUCTOR = WiringFault(
    name="ct_on_wrong_conductor",
    title="Two current transformers are around one conductor",
    look="Look which conductor goes through the CT of this phase: two CTs measure the same one.",
    explains=FOLLOWING,
)
ACTIVE, REACTIVE = Electrical.ACTIVE_POWER, Electrical.REACTIVE_POWER
APPARENT, CURRENT = Electrical.APPARENT_POWER, Electrical.CURRENT
LOAD_SHARE = 0.2
THIRD = 120.0
#: angles of loads, and of feeding in
PLAUSIBLE_ANGLE = 45.0
#: how far from its middle an angle may be, and how many may be farther
STEADY_ANGLE = 20.0
COSINE_TOLERANCE = 0.12
#: two CTs around one conductor agree so far
SAME_CURRENT, SAME_CURRENT_SPREAD = 0.03, 0.01


def ask(circuit: Circuit) -> Outcome:
    """By the angle of each phase; without reactive power by the power factor, which tells a swap of two only."""
    if circuit.phases != PHASES:
        return NotAsked("three connected phases are needed")
    powers = [(ACTIVE, phase) for phase in PHASES]
    reactive = [(REACTIVE, phase) for phase in PHASES]
    if circuit.has(*powers, *reactive):
        return _by_angle(circuit, circuit.rows(*powers, *reactive))
    apparent = [(APPARENT, phase) for phase in PHASES]
    if circuit.has(*powers, *apparent):
        return _by_factor(circuit, loaded(circuit.rows(*powers, *apparent), 3, 4, 5, share=LOAD_SHARE))
    return NotAsked("active and reactive (or apparent) power of three phases are needed")


def _by_angle(circuit: Circuit, rows: CircuitRows) -> Outcome:
    digits = [limit("digits") * max(rows.digits(at), rows.digits(at + 3)) for at in range(3)]
    amounts = [[abs(complex(row[at], row[at + 3])) for row in rows.values] for at in range(3)]
    least = [max([LOAD_SHARE * max(amounts[at], default=0.0), digits[at]]) for at in range(3)]
    rows = rows.where(lambda _, row: all(abs(complex(row[at], row[at + 3])) >= least[at] for at in range(3)))
    if len(rows) < limit("samples"):
        return NotAsked(too_few(len(rows)))
    series = [[angle_of(row[at], row[at + 3]) for row in rows.values] for at in range(3)]
    angles = [middle_angle(one) for one in series]
    calm = min(
        sum(abs(turn(one - middle)) <= STEADY_ANGLE for one in own) for own, middle in zip(series, angles, strict=True)
    )
    found = _turned(angles) if calm >= limit("share") * len(rows) else None
    if found is None:
        return Passed(len(rows))
    fault, phases = found
    if fault is LEAD and (same := _same_conductor(circuit, phases[0])):
        fault, phases = CONDUCTOR, (phases[0], same)
    shown = ", ".join(f"{name.upper()} {angle:.0f}°" for name, angle in zip(PHASES, angles, strict=True))
    leads = " The voltages are in reverse order: it is the leads." if fault is SWAPPED and _reversed(circuit) else ""
    return WiringFinding(
        fault=fault, circuit=circuit.name, phases=phases, faulty=calm, samples=len(rows),
        certainty=Certainty.LIKELY if fault is ROTATED else Certainty.SURE,
        saw=f"The angle between voltage and current, from active and reactive power, is {shown} (medians): "
        f"{named(phases)} {'is' if len(phases) == 1 else 'are'} turned by 120°.{leads}",
        figures={f"angle_{name}_degrees": angle for name, angle in zip(PHASES, angles, strict=True)},
    )  # fmt: skip


def _reversed(circuit: Circuit) -> bool:
    """Whether the voltages are known to be in reverse order."""
    rows = circuit.rows((Electrical.POSITIVE_SEQUENCE_VOLTAGE, ""), (Electrical.NEGATIVE_SEQUENCE_VOLTAGE, ""))
    return len(rows) > 0 and sum(row[1] > row[0] for row in rows.values) > len(rows) / 2


def _turned(angles: list[float]) -> tuple[WiringFault, tuple[str, ...]] | None:
    """What makes such angles of the three phases; None for those of loads."""
    for at in range(3):
        one, other = (at + 1) % 3, (at + 2) % 3
        base = angles[at]
        if not _plausible(base):
            continue
        steps = [turn(angles[number] - base) for number in (one, other)]
        if steps[0] * steps[1] < 0 and all(_third(step) for step in steps):
            return SWAPPED, tuple(sorted((PHASES[one], PHASES[other])))
        for number, step, level in ((one, steps[0], steps[1]), (other, steps[1], steps[0])):
            if _third(step) and abs(level) <= limit("angle") and not _plausible(angles[number]):
                return LEAD, (PHASES[number],)
    if all(_third(angle, room=25.0) for angle in angles) and len({angle > 0 for angle in angles}) == 1:
        return ROTATED, PHASES
    return None


def _plausible(angle: float) -> bool:
    """Whether it is the angle of a load, or of feeding in with a power factor near 1."""
    return abs(angle) <= PLAUSIBLE_ANGLE or abs(angle) >= 180 - STEADY_ANGLE


def _third(angle: float, room: float | None = None) -> bool:
    return abs(abs(angle) - THIRD) <= (limit("angle") if room is None else room)


def _same_conductor(circuit: Circuit, phase: str) -> str:
    """The phase whose current a phase has, too; empty if there is none."""
    for other in PHASES:
        keys = ((CURRENT, phase), (CURRENT, other))
        if other == phase or not circuit.has(*keys):
            continue
        rows = loaded(circuit.rows(*keys), 0, 1)
        ratios = [row[0] / row[1] for row in rows.values]
        if len(ratios) < limit("samples"):
            continue
        if close(median(ratios), 1, SAME_CURRENT) and spread(ratios) < SAME_CURRENT_SPREAD:
            return other
    return ""


def _by_factor(circuit: Circuit, rows: CircuitRows) -> Outcome:
    if len(rows) < limit("samples"):
        return NotAsked(too_few(len(rows)))
    factors = [median(row[at] / (abs(row[at + 3]) or 1.0) for row in rows.values) for at in range(3)]
    for at in range(3):
        one, other = (at + 1) % 3, (at + 2) % 3
        angle = degrees(acos(max(-1.0, min(1.0, factors[at]))))
        if abs(angle) > PLAUSIBLE_ANGLE:
            continue
        for sign in (1, -1):
            turned = [cos(radians(sign * angle + step)) for step in (THIRD, -THIRD)]
            off = [abs(factors[one] - turned[0]), abs(factors[other] - turned[1])]
            if max(off) <= COSINE_TOLERANCE:
                phases = tuple(sorted((PHASES[one], PHASES[other])))
                shown = ", ".join(f"{name.upper()} {factor:.2f}" for name, factor in zip(PHASES, factors, strict=True))
                return WiringFinding(
                    fault=SWAPPED, circuit=circuit.name, phases=phases, certainty=Certainty.LIKELY,
                    faulty=len(rows), samples=len(rows),
                    saw=f"Active over apparent power is {shown} (medians): {named(phases)} are turned by 120°.",
                    figures={f"factor_{name}": factor for name, factor in zip(PHASES, factors, strict=True)},
                )  # fmt: skip
    return Passed(len(rows))


CHECK = WiringCheck(
    name="swapped_ct",
    compares="angles of the phases, from active and reactive power, with each other",
    faults=(SWAPPED, ROTATED, LEAD, CONDUCTOR),
    ask=ask,
)
