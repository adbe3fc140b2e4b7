"""Energy registers against power that is integrated over the day."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from math import inf
from statistics import median

from greenpower.datatype import Electrical
from greenpower.wiring.circuit import Circuit, CircuitRows
from greenpower.wiring.figures import in_words, last_digit
from greenpower.wiring.integral import LEAST_STEPS, OTHER_WAY_SHARE, EnergyWindow, PowerIntegral, one_way, windows
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

UNIT = WiringFault(
    name="register_unit",
    title="Register and power are in different units",
    look="Look at unit and scale of register and power in the register list or the site file: one of them is taken for "
    "kWh or kW and is Wh or W (or MWh), or tenths.",
)
RATIO = WiringFault(
    name="register_ratio",
    title="The register counts another energy than the power makes",
    look="Check whether CT and VT ratio are applied to the register as to the power: many meters count the "
    "secondary side "
    "in the register. Compare the register's rise over ten minutes of steady load with power times time.",
)
DIRECTION = WiringFault(
    name="register_direction",
    title="Import and export are exchanged",
    look="Check the direction of all CTs, and which register is read as import and which as export.",
)
STILL = WiringFault(
    name="register_still",
    title="The register stands still under load",
    look="Compare the register with the meter's display, and whether the right one is read (tariff, phase, direction).",
)
POWER, FORWARD, RETURNED = Electrical.ACTIVE_POWER, Electrical.ACTIVE_ENERGY, Electrical.ACTIVE_ENERGY_RETURNED
REGISTERS = ((FORWARD, True), (RETURNED, False))
LEAST_WINDOWS = 3
#: of the energy: more the other way in a day makes a circuit one of both ways
BOTH_WAYS_SHARE = 0.01
#: factors of units
UNITS_APART = (1e-6, 1e-3, 0.01, 0.1, 10.0, 100.0, 1e3, 3.6e3, 1 / 3.6e3, 1e6)
UNIT_TOLERANCE = 0.1
#: of the energy: a register that rises by less stands still
STILL_SHARE = 0.01


def ask(circuit: Circuit) -> Outcome:
    """Compare each register's rise with the energy of its direction, in windows of half an hour and more."""
    power = _power(circuit)
    if not len(power):
        return NotAsked("active power is needed")
    registers = {key: circuit.series(key) for key in (FORWARD, RETURNED) if len(circuit.series(key)) > 1}
    if not registers:
        return NotAsked("an energy register is needed")
    integral = PowerIntegral(power.times, [row[0] if _one_direction(row) else None for row in power.values])
    both_ways = min(integral.total) > BOTH_WAYS_SHARE * max(integral.total)
    if both_ways and len(registers) < len(REGISTERS):
        return NotAsked("power goes both ways, and only one of the two registers is sent")
    rises = {key: _windows(integral, rows) for key, rows in registers.items()}
    passed = 0
    for key, forward in REGISTERS:
        if key not in rises:
            continue
        counted = _counted(rises[key], forward, registers.get(RETURNED if forward else FORWARD))
        if len(counted) < LEAST_WINDOWS:
            continue
        passed += len(counted)
        faulty = [window for window in counted if not _fits(window, forward, _digit(registers[key]))]
        ratio = median(window.rise / _energy(window, forward) for window in counted)
        if len(faulty) >= limit("share") * len(counted) and abs(ratio - 1) > limit("register"):
            return _finding(circuit, rises, key, forward, counted, len(faulty), ratio)
    if not passed:
        return NotAsked("there were fewer than 3 stretches of one direction that are long enough for the register")
    return Passed(passed)


def _one_direction(row: tuple[float, ...]) -> bool:
    """Whether no phase works against the others: meters add such phases up in different ways."""
    return not min(row[1:], default=0.0) < 0 < max(row[1:], default=0.0)


def _counted(found: list[EnergyWindow], forward: bool, other: CircuitRows | None) -> list[EnergyWindow]:
    """The windows of one direction. Where both registers rose, power went both ways between the samples."""
    return [
        window
        for window in found
        if one_way(window, forward)
        and (
            other is None
            or window.rise < STILL_SHARE * _energy(window, forward)
            or _rise(other, window) <= OTHER_WAY_SHARE * _energy(window, forward) + _digit(other)
        )
    ]


def _rise(rows: CircuitRows, window: EnergyWindow) -> float:
    first, last = bisect_left(rows.times, window.begin), bisect_right(rows.times, window.end) - 1
    return rows.values[last][0] - rows.values[first][0] if first < last else 0.0


def _finding(
    circuit: Circuit,
    rises: dict[Electrical, list[EnergyWindow]],
    key: Electrical,
    forward: bool,
    counted: list[EnergyWindow],
    faulty: int,
    ratio: float,
) -> WiringFinding:
    energy, rise = sum(_energy(window, forward) for window in counted), sum(window.rise for window in counted)
    other = RETURNED if forward else FORWARD
    fault, certainty = RATIO, Certainty.LIKELY
    if ratio < STILL_SHARE and rise < STILL_SHARE * energy:
        opposite = [
            window.rise / _energy(window, forward) for window in rises.get(other, ()) if one_way(window, forward)
        ]
        exchanged = len(opposite) >= LEAST_WINDOWS and abs(median(opposite) - 1) <= limit("register")
        fault, certainty = (DIRECTION, Certainty.SURE) if exchanged else (STILL, Certainty.LIKELY)
    if fault is not DIRECTION and any(abs(ratio / factor - 1) <= UNIT_TOLERANCE for factor in UNITS_APART):
        fault = UNIT
    way = "import" if key is FORWARD else "export"
    made = "above" if forward else "below"
    factor = "" if fault in (STILL, DIRECTION) else f", {in_words(ratio)} as much"
    beside = "; the other register rose instead" if fault is DIRECTION else ""
    return WiringFinding(
        fault=fault, circuit=circuit.name, certainty=certainty,
        saw=f"Power {made} 0 made {energy:.4g} kWh in the stretches compared, the {way} register rose by {rise:.4g} kWh"
        f"{factor}{beside}.",
        figures={"power_kwh": energy, "register_kwh": rise, "ratio": ratio}, faulty=faulty, samples=len(counted),
    )  # fmt: skip


def _power(circuit: Circuit) -> CircuitRows:
    """Total active power, and behind it that of each phase where it is known."""
    phases = [(POWER, phase) for phase in circuit.phases if circuit.has((POWER, phase))]
    if not phases:
        return circuit.series(POWER)
    if circuit.has((POWER, ""), *phases):
        rows = circuit.rows((POWER, ""), *phases)
    else:
        parts = circuit.rows(*phases)
        rows = CircuitRows(parts.times, [(sum(row), *row) for row in parts.values])
    return rows if len(rows) >= len(circuit.series(POWER)) / 2 else circuit.series(POWER)


def _windows(integral: PowerIntegral, rows: CircuitRows) -> list[EnergyWindow]:
    return windows(integral, rows.times, rows.column(0), _digit(rows))


def _digit(rows: CircuitRows) -> float:
    """The step of a register: its last digit, or the least step that it was seen to make."""
    values = rows.column(0)
    steps = [later - earlier for earlier, later in pairwise(values) if later > earlier]
    return max(last_digit(values), min(steps, default=inf) / LEAST_STEPS if steps else 0.0)


def _energy(window: EnergyWindow, forward: bool) -> float:
    return window.forward if forward else window.backward


def _fits(window: EnergyWindow, forward: bool, digit: float) -> bool:
    energy = _energy(window, forward)
    return abs(window.rise - energy) <= limit("register") * max(window.rise, energy) + digit + 2 * window.error


CHECK = WiringCheck(
    name="register_power", compares="rise of the energy registers with integrated power",
    faults=(UNIT, RATIO, DIRECTION, STILL), ask=ask,
)  # fmt: skip
