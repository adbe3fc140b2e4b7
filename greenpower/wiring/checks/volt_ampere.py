"""Voltage times current against the powers."""

from __future__ import annotations

from math import hypot
from statistics import median
from typing import NamedTuple

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit, CircuitRows, Key, loaded, named
from greenpower.wiring.figures import in_words
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="power_scale",
    title="Power and voltage times current differ by a factor",
    look="Check CT and VT ratio in the meter's settings: they must be applied to current, voltage and power "
    "alike. Then "
    "check the scale and the register of each in the register list or the site file (W or kW, tenths).",
    explains=frozenset({"register_unit", "register_ratio", "register_still", "power_factor", "apparent_power"}),
)
VOLTAGE, CURRENT, ACTIVE = Electrical.VOLTAGE, Electrical.CURRENT, Electrical.ACTIVE_POWER
REACTIVE, APPARENT = Electrical.REACTIVE_POWER, Electrical.APPARENT_POWER
#: below it is what active power alone may be of voltage times current
HALF = 0.5


def ask(circuit: Circuit) -> Outcome:
    """Compare U times I with S and with √(P² + Q²), which harmonics make smaller; without these with P, which is less.

    Where both are sent, both must be wrong: else it is S that does not fit the other powers.
    """
    asked, found = 0, []
    for phase in circuit.parts:
        compared = [_compare(circuit, phase, *choice) for choice in _choices(circuit, phase)]
        known = [one for one in compared if one is not None]
        if known:
            asked += known[0].samples
        if known and all(one.faulty >= limit("share") * one.samples for one in known):
            found.append((phase, known[0]))
    if not asked:
        return NotAsked("voltage, current and a power of the same phase are needed, under load")
    if not found:
        return Passed(asked)
    ratio = median(one.ratio for _, one in found)
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, phases=tuple(phase for phase, _ in found if phase),
        certainty=Certainty.LIKELY if found[0][1].low < HALF else Certainty.SURE,
        saw=f"At {named([phase for phase, _ in found])} power is {in_words(ratio)} voltage times current.",
        figures={"factor": ratio},
        faulty=sum(one.faulty for _, one in found), samples=sum(one.samples for _, one in found),
    )  # fmt: skip


class PowerRatio(NamedTuple):
    """A power over voltage times current. low: the least ratio that is right. ratio: the median."""

    low: float
    ratio: float
    faulty: int
    samples: int


def _choices(circuit: Circuit, phase: str) -> list[tuple[tuple[Key, ...], float, float]]:
    """The powers to compare with, and the least and greatest ratio that is right."""
    share = limit("volt_ampere")
    base = ((VOLTAGE, phase), (CURRENT, phase))
    choices: list[tuple[tuple[Key, ...], float, float]] = [
        (((APPARENT, phase),), 1 - share, 1 + share),
        (((ACTIVE, phase), (REACTIVE, phase)), (1 - share) / limit("apparent_high"), 1 + share),
        (((ACTIVE, phase),), limit("least_factor"), 1 + share),
    ]
    sent = [choice for choice in choices if circuit.has(*base, *choice[0])]
    return sent[:-1] or sent


def _compare(circuit: Circuit, phase: str, keys: tuple[Key, ...], low: float, high: float) -> PowerRatio | None:
    rows = loaded(circuit.rows((VOLTAGE, phase), (CURRENT, phase), *keys), 1, 2)
    rows = rows.where(lambda _, row: row[0] != 0)
    if len(rows) < limit("samples"):
        return None
    ratios = [_power(row) / abs(row[0] * row[1]) * 1000 for row in rows.values]
    room = _room(rows)
    faulty = sum(not low - room <= ratio <= high + room for ratio in ratios)
    return PowerRatio(low, median(ratios), faulty, len(rows))


def _power(row: tuple[float, ...]) -> float:
    return hypot(*row[2:]) if len(row) > 3 else abs(row[2])


def _room(rows: CircuitRows) -> float:
    """What rounding to the last digits can change in a ratio."""
    volts, amperes = median(map(abs, rows.column(0))) or 1.0, median(map(abs, rows.column(1))) or 1.0
    power = median(map(_power, rows.values)) or 1.0
    return 0.5 * (rows.digits(0) / volts + rows.digits(1) / amperes + rows.digits(2) / power)


CHECK = WiringCheck(name="volt_ampere", compares="voltage times current with the powers", faults=(FAULT,), ask=ask)
