"""Power of a solar plant at night."""

from __future__ import annotations

from statistics import median

from greenpower.datatype import Electrical, PointRole
from greenpower.wiring.circuit import Circuit, CircuitRows
from greenpower.wiring.figures import quantile
from greenpower.wiring.outcome import Certainty, NotAsked, Outcome, Passed, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tolerance import limit

FAULT = WiringFault(
    name="solar_at_night",
    title="A solar plant makes power at night",
    look="Check the clock and the time zone of the device first. If they are right, this meter measures another "
    "circuit "
    "than the solar plant (or also a battery or loads behind it), or its meter point has the wrong role.",
)
LEAST_DARK_SAMPLES = 8
POWER = Electrical.ACTIVE_POWER
#: local hours in which the sun is down wherever there is a night
DARK_HOURS = frozenset({23, 0, 1, 2})


def ask(circuit: Circuit) -> Outcome:
    """Compare the night's power with the day's highest."""
    if circuit.role is not PointRole.SOLAR:
        return NotAsked(f"only for meter points of role {PointRole.SOLAR}")
    rows = total_power(circuit)
    dark = [abs(row[0]) for time, row in zip(rows.times, rows.values, strict=True) if circuit.hour(time) in DARK_HOURS]
    highest = quantile([abs(row[0]) for row in rows.values], 0.95)
    least = limit("digits") * rows.digits(0) if len(rows) else 0.0
    if len(dark) < LEAST_DARK_SAMPLES or highest < least:
        return NotAsked("active power of day and night is needed")
    faulty = sum(value > limit("night") * highest and value >= least for value in dark)
    if faulty < limit("share") * len(dark):
        return Passed(len(dark))
    night = median(dark)
    return WiringFinding(
        fault=FAULT, circuit=circuit.name, certainty=Certainty.LIKELY,
        saw=f"Between 23:00 and 03:00 the power is {night:.4g} kW (median); most of the day it is below "
        f"{highest:.4g} kW.",
        figures={"night_kw": night, "day_kw": highest}, faulty=faulty, samples=len(dark),
    )  # fmt: skip


def total_power(circuit: Circuit) -> CircuitRows:
    """Active power of the circuit: the total that is sent, else the sum of its phases."""
    rows = circuit.series(POWER)
    if len(rows):
        return rows
    phases = [(POWER, phase) for phase in circuit.phases if circuit.has((POWER, phase))]
    if not phases:
        return CircuitRows((), ())
    rows = circuit.rows(*phases)
    return CircuitRows(rows.times, [(sum(row),) for row in rows.values])


CHECK = WiringCheck(
    name="solar_at_night", compares="power of solar plants at night with that by day", faults=(FAULT,), ask=ask
)
