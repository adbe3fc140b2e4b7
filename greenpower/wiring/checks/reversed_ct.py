"""A current transformer that is turned around: the power of its phase has the wrong sign, day and night."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical, PointRole
from greenpower.wiring.circuit import Circuit, CircuitRows, loaded, named, too_few
from greenpower.wiring.figures import spread
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

REVERSED = WiringFault(
    name="reversed_ct",
    title="A current transformer is reversed",
    look="Look at the arrow or the letters (P1/P2, K/L) on the CT of this phase: P1 faces the source. Also check "
    "that its "
    "two secondary wires (S1, S2) are not exchanged at the meter. Where only active power is sent, exchanged CTs "
    "of two "
    "phases look alike: compare the wire numbers of both.",
    explains=frozenset({"neutral_current"}),
)
ALL_REVERSED = WiringFault(
    name="all_reversed",
    title="All current transformers are reversed",
    look="This circuit should have power in one direction only. Check the direction of all CTs, or of the feed "
    "(line and "
    "load side of a direct meter exchanged). Where power really flows both ways, mark this as intended.",
    explains=frozenset({"register_direction"}),
)
POWER = Electrical.ACTIVE_POWER
#: samples at night that show that it is not the sun
LEAST_NIGHT_SAMPLES = 5
#: how steady the ratio to the other phases is where one source or load is behind all of them
SAME_SOURCE = 0.2


def ask(circuit: Circuit) -> Outcome:
    """One or two phases against the others; all of them against the role of the meter point."""
    phases = tuple(phase for phase in circuit.phases if circuit.has((POWER, phase)))
    parts = phases or ("",)
    keys = [(POWER, phase) for phase in parts]
    if not circuit.has(*keys):
        return NotAsked("active power is needed")
    rows = circuit.rows(*keys)
    counted = loaded(rows, *range(len(keys)))
    if len(counted) < limit("samples"):
        return NotAsked(too_few(len(counted)))
    negative = [sum(row[number] < 0 for row in counted.values) / len(counted) for number in range(len(keys))]
    turned = [number for number, share in enumerate(negative) if share >= limit("reversed")]
    straight = [number for number, share in enumerate(negative) if share <= 1 - limit("reversed")]
    if turned and not straight and len(turned) == len(keys):
        return _all(circuit, parts, rows, counted, sign=-1)
    if straight and not turned and len(straight) == len(keys):
        return _all(circuit, parts, rows, counted, sign=1)
    if len(turned) + len(straight) < len(keys) or len(keys) < 2:
        return Passed(len(counted))
    if circuit.expected < 0 or (not circuit.expected and len(turned) > len(straight) and circuit.role is not None):
        turned, straight = straight, turned
    return _some(circuit, parts, rows, counted, turned, straight)


def _some(
    circuit: Circuit,
    parts: tuple[str, ...],
    rows: CircuitRows,
    counted: CircuitRows,
    turned: list[int],
    straight: list[int],
) -> Outcome:
    total = median(abs(sum(row)) / sum(map(abs, row)) for row in counted.values)
    if total < limit("saldo"):
        return NotAsked(
            f"{named([parts[number] for number in turned])} balances the other phases to a total near 0: a battery on "
            "one phase does that, and so do two exchanged CTs, which reactive power would tell"
        )
    night = _at_night(circuit, rows, turned[0])
    wrong = sum((row[turned[0]] < 0) == (counted.values[0][turned[0]] < 0) for row in night.values)
    all_night = len(night) >= LEAST_NIGHT_SAMPLES and wrong >= limit("reversed") * len(night)
    one_source = spread([abs(row[turned[0]] / row[straight[0]]) for row in counted.values]) < SAME_SOURCE
    if not (all_night or one_source or circuit.role is PointRole.GENERATOR):
        return NotAsked(
            f"{named([parts[turned[0]]])} has another direction than the others by day only, as with a solar inverter "
            "on one phase"
        )
    names = tuple(parts[number] for number in turned)
    powers = ", ".join(f"{part.upper()} {median(counted.column(at)):.4g} kW" for at, part in enumerate(parts))
    return WiringFinding(
        fault=REVERSED, circuit=circuit.name, certainty=Certainty.SURE if one_source else Certainty.LIKELY,
        phases=names, faulty=len(counted), samples=len(counted),
        saw=f"Active power of {named(names)} has the other sign than that of the other phases, day and night: {powers} "
        "(medians).",
        figures={f"power_{part}_kw": median(counted.column(at)) for at, part in enumerate(parts)},
    )  # fmt: skip


def _all(circuit: Circuit, parts: tuple[str, ...], rows: CircuitRows, counted: CircuitRows, sign: int) -> Outcome:
    if not circuit.expected or circuit.expected == sign:
        return Passed(len(counted))
    if circuit.role is PointRole.LOAD:
        night = _at_night(circuit, rows, 0)
        if len(night) < LEAST_NIGHT_SAMPLES or sum(row[0] * sign > 0 for row in night.values) < len(night) * 0.9:
            return NotAsked("power goes the other way by day only, as with a solar inverter behind this circuit")
    power = median(sum(row) for row in counted.values)
    return WiringFinding(
        fault=ALL_REVERSED, circuit=circuit.name, certainty=Certainty.LIKELY,
        phases=tuple(part for part in parts if part), faulty=len(counted), samples=len(counted),
        saw=f"Active power is {power:.4g} kW (median), and its meter point ({circuit.role}) expects the other "
        "direction.",
        figures={"power_kw": power},
    )  # fmt: skip


def _at_night(circuit: Circuit, rows: CircuitRows, number: int) -> CircuitRows:
    least = limit("digits") * rows.digits(number)
    return rows.where(lambda time, row: circuit.is_night(time) and abs(row[number]) >= least)


CHECK = WiringCheck(
    name="reversed_ct",
    compares="signs of active power of the phases with each other, and with the meter point's role",
    faults=(REVERSED, ALL_REVERSED),
    ask=ask,
)
