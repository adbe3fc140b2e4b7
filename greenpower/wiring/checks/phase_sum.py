"""Active power: the total against the sum of the phases."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import PHASES, Circuit, named, too_few
from greenpower.wiring.figures import in_words, spread
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="phase_sum",
    title="The total is not the sum of the phases",
    look="Compare total and phases on the meter's display. If they agree there, the register list or the site "
    "file reads "
    "a wrong register or scale; if not, look up how the meter adds its phases (with or without sign).",
    explains=frozenset({"power_factor", "apparent_power", "register_ratio", "register_still"}),
)
POWER = Electrical.ACTIVE_POWER


def ask(circuit: Circuit) -> Outcome:
    """Compare the total of each reading with the phases in it."""
    keys = [(POWER, ""), *((POWER, phase) for phase in PHASES if circuit.has((POWER, phase)))]
    if len(keys) < 3 or not circuit.has(*keys):
        return NotAsked("active power of the total and of at least two phases is needed")
    rows = circuit.rows(*keys)
    amount = [sum(map(abs, row[1:])) for row in rows.values]
    digits = sum(rows.digits(number) for number in range(len(keys)))
    least = max(limit("load") * max(amount, default=0.0), limit("digits") * digits)
    rows = rows.where(lambda _, row: sum(map(abs, row[1:])) >= least)
    if len(rows) < limit("samples"):
        return NotAsked(too_few(len(rows)))
    off = [(row[0] - sum(row[1:])) / sum(map(abs, row[1:])) for row in rows.values]
    room = [limit("sum") + digits / sum(map(abs, row[1:])) for row in rows.values]
    faulty = sum(abs(one) > allowed for one, allowed in zip(off, room, strict=True))
    if faulty < limit("share") * len(rows):
        return Passed(len(rows))
    total, phases = median(rows.column(0)), median(sum(row[1:]) for row in rows.values)
    why, names = _why(rows.values, [phase for _, phase in keys[1:]])
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, certainty=Certainty.SURE, phases=names, faulty=faulty, samples=len(rows),
        saw=f"The total is {total:.4g} kW, the sum of the phases {phases:.4g} kW (medians){why}.",
        figures={"total_kw": total, "sum_kw": phases},
    )  # fmt: skip


def _why(rows: Sequence[tuple[float, ...]], names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What makes the total out of the phases: in words, and the phases that it is about."""
    ways: list[tuple[float, str, tuple[str, ...]]] = []
    for number, name in enumerate(names, 1):
        for times, word in ((1, "leaves out"), (2, "subtracts")):
            off = median(abs(row[0] - sum(row[1:]) + times * row[number]) / sum(map(abs, row[1:])) for row in rows)
            ways.append((off, f": the total {word} {named([name])}", (name,)))
    off = median(abs(row[0] / sum(map(abs, row[1:])) - 1) for row in rows)
    ways.append((off, ": the total adds the phases up without their sign", ()))
    off, words, phases = min(ways)
    if off <= limit("sum"):
        return words, phases
    factors = [row[0] / sum(row[1:]) for row in rows if sum(row[1:])]
    if factors and spread(factors) < limit("sum"):
        return f": the total is {in_words(median(factors))} the sum", ()
    return "", ()


CHECK = WiringCheck(
    name="phase_sum", compares="total active power with the sum of the phases", faults=(FAULT,), ask=ask
)
