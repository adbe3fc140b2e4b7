"""A three-phase feeder: voltages, currents and powers that agree with each other at any time.

What belongs here: the electrical state. What does not: how a data type calls it (`value`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, degrees, hypot, sqrt
from random import Random

from greenpower.simulator.curve import DAY, LOAD, SUN, DayCurve, Ripple

INSTALLED = 1_735_689_600.0  # 2025-01-01, local: registers started at 0
IN_USE = 40 * DAY  # of a feeder that is idle now
VOLTS = 230.0
HERTZ = 50.0
#: hours of the day of tariffs 1 … 4; 5 and 6 are not in use
TARIFFS = (
    frozenset({9, 10, 11, 17, 18}),
    frozenset({7, 8, 12, 13, 14, 15, 16, 22}),
    frozenset({0, 1, 2, 3, 4, 5, 6, 23}),
    frozenset({19, 20, 21}),
    frozenset[int](),
    frozenset[int](),
)
EVERY_HOUR = frozenset(range(24))


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase: V, A, kW, kvar (below 0: capacitive), kVA, power factor, angles of voltage and current in degrees."""

    u: float
    i: float
    p: float
    q: float
    s: float
    pf: float
    u_angle: float
    i_angle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The feeder at one time. load: 0 … 1 of its size."""

    phases: tuple[Phase, ...]
    frequency: float
    load: float

    def mean(self, name: str) -> float:
        """A quantity of `Phase`, averaged over the phases."""
        return self.total(name) / len(self.phases)

    def total(self, name: str) -> float:
        """A quantity of `Phase`, added over the phases."""
        return float(sum(getattr(phase, name) for phase in self.phases))

    def unbalance(self, name: str) -> float:
        """The greatest distance from the mean, % of the mean."""
        mean = self.mean(name)
        return max(abs(getattr(phase, name) - mean) for phase in self.phases) / mean * 100 if mean else 0.0

    def line_voltage(self, one: int, other: int) -> float:
        """Between two phases that are 120° apart."""
        u, v = self.phases[one % len(self.phases)].u, self.phases[other % len(self.phases)].u
        return sqrt(u * u + v * v + u * v)


class Feeder:
    """A feeder of a size and a character of its own, drawn from `random`. Times are local seconds."""

    def __init__(self, random: Random, *, phases: int = 3, solar: bool = False, idle: bool = False) -> None:
        self.curve: DayCurve = SUN if solar else LOAD
        self.size = random.uniform(8.0, 40.0) * phases / 3
        self._idle = idle
        self._count = phases
        shares = [random.uniform(0.94, 1.06) for _ in range(phases)]
        self._shares = [share / sum(shares) for share in shares]
        self._offsets = [random.uniform(-0.008, 0.008) for _ in range(phases)]
        self._factor = random.uniform(0.93, 0.985)
        self._sign = random.choice((-1.0, 1.0, 1.0))
        self._swing = random.uniform(0.02, 0.05)
        self._grid = Ripple(random)
        self._hertz = Ripple(random, (911.0, 127.0, 23.0))
        self._loads = [Ripple(random) for _ in range(phases)]
        self._factors = [Ripple(random, (3607.0, 307.0)) for _ in range(phases)]

    def at(self, second: float) -> State:
        """The state at a local second."""
        load = 0.0 if self._idle else self.curve.at(second)
        phases = tuple(self._phase(number, second, load) for number in range(self._count))
        return State(phases=phases, frequency=HERTZ + 0.06 * self._hertz.at(second), load=load)

    def _phase(self, number: int, second: float, load: float) -> Phase:
        u = VOLTS * (1 + self._offsets[number] + 0.012 * (0.5 - load) + 0.009 * self._grid.at(second))
        p = self.size * self._shares[number] * load * (1 + self._swing * self._loads[number].at(second))
        pf = min(0.999, self._factor + 0.012 * self._factors[number].at(second))
        s = p / pf
        u_angle = (360.0 - 120.0 * number) % 360
        u_angle = (u_angle + 0.2 * self._factors[number].at(second)) % 360 if number else 0.0
        return Phase(
            u=u, i=s * 1000 / u, p=p, q=self._sign * sqrt(s * s - p * p), s=s, pf=pf if p else 1.0,
            u_angle=u_angle, i_angle=(u_angle + self._sign * degrees(acos(pf))) % 360,
        )  # fmt: skip

    def demand(self, second: float) -> State:
        """The state as 15-minute demand shows it: the mean of that time, without the quick swings."""
        steps = [self.at(second - back) for back in (0, 300, 600, 900)]
        phases = tuple(
            Phase(**{
                name: sum(getattr(step.phases[number], name) for step in steps) / len(steps)
                for name in ("u", "i", "p", "q", "s", "pf", "u_angle", "i_angle")
            })
            for number in range(self._count)
        )  # fmt: skip
        return State(phases=phases, frequency=steps[0].frequency, load=sum(step.load for step in steps) / len(steps))

    def energy(self, second: float, during: frozenset[int] = EVERY_HOUR) -> float:
        """kWh delivered since it was installed, in the hours of the day `during`. Never falls."""
        second = max(INSTALLED, min(second, INSTALLED + IN_USE) if self._idle else second)
        return self.size * (self.curve.integral(second, during) - self.curve.integral(INSTALLED, during))

    def reactive_energy(self, second: float) -> tuple[float, float]:
        """kvarh since it was installed: (inductive, capacitive). Neither ever falls."""
        ratio = sqrt(1 - self._factor**2) / self._factor
        energy = ratio * self.energy(second)
        return (energy, 0.0) if self._sign > 0 else (0.0, energy)

    def apparent_energy(self, second: float) -> float:
        """kVAh since it was installed. Never falls."""
        return hypot(self.energy(second), sum(self.reactive_energy(second)))
