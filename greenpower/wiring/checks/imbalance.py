"""One phase's current against the others: a CT that is not connected, and one with another ratio."""

from __future__ import annotations

from statistics import fmean, median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import PHASES, Circuit, too_few
from greenpower.wiring.figures import close, in_words, quantile, spread
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

RATIO = WiringFault(
    name="ct_ratio_phase",
    title="One current transformer has another ratio",
    look="Read the ratio on the type plate of this CT and of the other two, and compare it with the ratio that "
    "is set in "
    "the meter. If all are alike, count the turns of the conductor through it. If the load is truly unbalanced, "
    "mark this "
    "as intended.",
    explains=frozenset({"neutral_current"}),
)
MISSING = WiringFault(
    name="current_missing",
    title="A phase has voltage and no current",
    look="Check that the CT of this phase is closed around its conductor and that its secondary is connected "
    "(never open "
    "it under load). If nothing is connected to this phase, mark this as intended.",
    explains=frozenset({"neutral_current"}),
)
CURRENT, VOLTAGE = Electrical.CURRENT, Electrical.VOLTAGE
#: how far two phases of a balanced load may be apart
BALANCED = 0.3


def ask(circuit: Circuit) -> Outcome:
    """Compare the current of each phase with the mean of the others, over the day."""
    keys = [(CURRENT, phase) for phase in PHASES]
    if not circuit.has(*keys):
        return NotAsked("current of three phases is needed")
    rows = circuit.rows(*keys)
    amounts = [tuple(map(abs, row)) for row in rows.values]
    least = max(
        limit("load") * quantile([max(row) for row in amounts], 0.95),
        limit("digits") * max((rows.digits(at) for at in range(3)), default=0.0) if amounts else 0.0,
    )
    kept = [row for row in amounts if sorted(row)[1] >= least > 0]
    if len(kept) < limit("samples"):
        return NotAsked(too_few(len(kept)))
    for at in range(3):
        own = [row[at] for row in kept]
        rest = [fmean((row[at - 1], row[at - 2])) for row in kept]
        if quantile(own, 0.95) <= limit("current_missing") * quantile(rest, 0.95):
            if _has_voltage(circuit, PHASES[at]):
                return _missing(circuit, PHASES[at], median(own), median(rest), len(kept))
            continue
        if (found := _ratio(circuit, at, kept, rest)) is not None:
            return found
    return Passed(len(kept))


def _has_voltage(circuit: Circuit, phase: str) -> bool:
    keys = [(VOLTAGE, one) for one in PHASES]
    rows = circuit.rows(*keys)
    if not len(rows):
        return False
    own = [row[PHASES.index(phase)] >= limit("voltage_low") * max(row) > 0 for row in rows.values]
    return sum(own) >= limit("share") * len(own)


def _missing(circuit: Circuit, phase: str, own: float, rest: float, samples: int) -> WiringFinding:
    return WiringFinding(
        fault=MISSING, circuit=circuit.name, phases=(phase,), certainty=Certainty.POSSIBLE,
        saw=f"Phase {phase.upper()} has voltage and {own:.3g} A, the other phases {rest:.4g} A (medians).",
        figures={"current_a": own, "others_a": rest}, faulty=samples, samples=samples,
    )  # fmt: skip


def _ratio(circuit: Circuit, at: int, kept: list[tuple[float, ...]], rest: list[float]) -> WiringFinding | None:
    if circuit.phases != PHASES or not _changes(rest):
        return None
    ratios = [row[at] / other for row, other in zip(kept, rest, strict=True)]
    ratio = median(ratios)
    others = [row[at - 1] / (row[at - 2] or 1e-9) for row in kept]
    if 1 / limit("ratio") < ratio < limit("ratio") or spread(ratios) > limit("steady"):
        return None
    if not close(median(others), 1, BALANCED) or spread(others) > limit("steady"):
        return None
    steady = sum(close(one, ratio, 2 * limit("steady")) for one in ratios)
    return WiringFinding(
        fault=RATIO, circuit=circuit.name, phases=(PHASES[at],), certainty=Certainty.LIKELY,
        saw=f"The current of phase {PHASES[at].upper()} is {in_words(ratio)} that of the other two, which are "
        "alike, at "
        "every load.",
        figures={"ratio": ratio}, faulty=steady, samples=len(kept),
    )  # fmt: skip


def _changes(load: list[float]) -> bool:
    low = quantile(load, 0.1)
    return low > 0 and quantile(load, 0.9) >= limit("load_changes") * low


CHECK = WiringCheck(
    name="imbalance", compares="current of each phase with the others over the day", faults=(RATIO, MISSING), ask=ask
)
