"""Days of circuits as pure values: good ones of many kinds, and those of simulated types, with faults if wanted."""

from __future__ import annotations

from cmath import rect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import acos, exp, hypot, pi, radians, sin
from random import Random

from greenpower.datatype import DataType, Electrical, PointRole
from greenpower.simulator.rewiring import rewired
from greenpower.simulator.value import Measured
from greenpower.wiring.circuit import Circuit, Key, Table
from greenpower.wiring.columns import measured_fields, tables

E = Electrical
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
ZONE = timezone(timedelta(hours=6))
DAY, HOUR = 86_400, 3_600
PHASES = ("a", "b", "c")


def simulated_day(
    datatypes: Sequence[DataType],
    number: int = 60,
    *,
    seed: str = "wiring",
    step: int = 300,
    fault: str = "",
    role: PointRole | None = None,
    expected: int = 0,
    fields: Callable[[str], bool] = lambda name: True,
) -> Circuit:
    """A day of one device that sends these types, as the simulator measures it: with a wiring fault if one is named.

    Its local hours are those of the simulator, east of UTC by 6 hours. fields: which of them the device has.
    """
    begin = FIRST_DAY + timedelta(days=number) - timedelta(hours=6)
    found = []
    for datatype in datatypes:
        own = [field for field in datatype.fields if field.measures and fields(field.name)]
        measured = Measured(own, seed, about=datatype.title)
        readings = []
        for at in range(0, DAY, step):
            time = begin.timestamp() + at
            local = time + 6 * HOUR
            values = dict(measured.at(local, 6.0 * HOUR))
            if fault:
                values = rewired(own, values, fault, measured.feeder, local)
            readings.append((time, {name: round(value, 3) for name, value in values.items()}))
        found.append(tables(measured_fields(datatype), readings)[""])
    return Circuit("simulated", found, role=role, expected=expected, zone=ZONE)


@dataclass(frozen=True)
class Load:
    """What a phase takes at a time: kW and the power factor (below 0: leading)."""

    power: float
    factor: float


@dataclass(frozen=True, kw_only=True)
class GoodCircuit:
    """A circuit that is wired well. loads: of the phases at a local hour of a day, drawn from `Random` once a step."""

    name: str
    loads: Callable[[Random, float, int], Sequence[Load] | None]
    role: PointRole | None = None
    expected: int = 0
    distortion: float = 1.0
    decimals: int = 3
    register_decimals: int = 2
    ampere_decimals: int = 2
    sent: tuple[str, ...] = ("u", "i", "p", "q", "s", "pf", "f", "line", "n", "sum", "register")
    standby: float = 0.0


def hump(hour: float, middle: float, width: float) -> float:
    """A bump over the hours."""
    return exp(-(((hour - middle) / width) ** 2))


def _house(random: Random, hour: float, day: int) -> list[Load]:
    base = 0.15 + 0.5 * hump(hour, 19, 3) + 0.3 * hump(hour, 8, 1.5)
    return [
        Load(base * random.uniform(0.5, 1.6) * share + (random.random() < chance) * random.uniform(1, 3), 0.93)
        for share, chance in ((1.6, 0.15), (0.7, 0.08), (0.9, 0.03))
    ]


def _sun(hour: float, day: int) -> float:
    high = 0.65 + 0.35 * sin(2 * pi * (day - 80) / 365)
    return max(0.0, sin(pi * (hour - 6) / 12)) * high if 6 < hour < 18 else 0.0


def _plant(random: Random, hour: float, day: int) -> list[Load]:
    power = 12 * _sun(hour, day) * random.uniform(0.3 if day % 3 else 0.9, 1.0)
    return [Load(power * random.uniform(0.99, 1.01), 0.995 if power > 1 else -0.9) for _ in PHASES]


def _prosumer(random: Random, hour: float, day: int) -> list[Load]:
    made = 3 * _sun(hour, day) * random.uniform(0.5, 1)
    return [Load(load.power - made, load.factor) for load in _house(random, hour, day)]


def _one_phase_inverter(random: Random, hour: float, day: int) -> list[Load]:
    made = 4 * _sun(hour, day) * random.uniform(0.7, 1)
    first, *others = _house(random, hour, day)
    return [Load(first.power - made, first.factor), *others]


def _battery(random: Random, hour: float, day: int) -> list[Load]:
    _, second, third = _house(random, hour, day)
    rest = second.power + third.power
    return [Load(0.02 - rest * random.uniform(0.97, 1.01), 0.99), second, third]


def _generator(random: Random, hour: float, day: int) -> list[Load] | None:
    begin = 9 + (day * 7) % 6
    if day % 5 == 4 or not begin <= hour < begin + 1 + day % 3:
        return None
    level = 20 + 8 * sin(hour * 5)
    return [Load(level * random.uniform(0.85, 1.15) * share, 0.85) for share in (1.1, 0.95, 1.0)]


def _motor(random: Random, hour: float, day: int) -> list[Load]:
    if not 6 <= hour < 17 or day % 7 == 6:
        return [Load(0.0, 1.0)] * 3
    starting = random.random() < 0.05
    power = (30 if starting else 7 + 3 * sin(hour * 3)) * random.uniform(0.97, 1.03)
    return [Load(power * random.uniform(0.98, 1.02), 0.4 if starting else 0.82) for _ in PHASES]


def _leading(random: Random, hour: float, day: int) -> list[Load]:
    power = 5 + 3 * hump(hour, 14, 4)
    return [Load(power * random.uniform(0.9, 1.1), -0.85) for _ in PHASES]


def _unbalanced(random: Random, hour: float, day: int) -> list[Load]:
    return [
        Load(level * (1 + 0.6 * hump(hour, middle, 3)) * random.uniform(0.8, 1.25), 0.95)
        for level, middle in ((6, 10), (2, 20), (1, 14))
    ]


def _single(random: Random, hour: float, day: int) -> list[Load]:
    return [Load((0.09 if random.random() < 0.4 else 0.002) * random.uniform(0.95, 1.05), 0.6)]


GOOD = (
    GoodCircuit(name="house", loads=_house, role=PointRole.GRID_IMPORT),
    GoodCircuit(
        name="solar plant", loads=_plant, role=PointRole.SOLAR, expected=1, standby=-0.006, register_decimals=0
    ),
    GoodCircuit(name="house with a roof", loads=_prosumer, role=PointRole.GRID_IMPORT),
    GoodCircuit(name="load with a roof behind it", loads=_prosumer, role=PointRole.LOAD, expected=1),
    GoodCircuit(name="inverter on one phase", loads=_one_phase_inverter, role=PointRole.GRID_IMPORT),
    GoodCircuit(name="battery on one phase", loads=_battery, role=PointRole.GRID_IMPORT),
    GoodCircuit(name="generator", loads=_generator, role=PointRole.GENERATOR, expected=1, decimals=1),
    GoodCircuit(name="motor", loads=_motor, role=PointRole.LOAD, expected=1),
    GoodCircuit(name="leading", loads=_leading, role=PointRole.LOAD, expected=1, register_decimals=1),
    GoodCircuit(name="rectifiers", loads=_unbalanced, distortion=1.3, role=PointRole.LOAD, expected=1),
    GoodCircuit(name="unbalanced", loads=_unbalanced, role=PointRole.LOAD, expected=1),
    GoodCircuit(
        name="smart meter", loads=_prosumer, role=PointRole.GRID_IMPORT, ampere_decimals=0, register_decimals=3,
        sent=("u", "i", "p", "sum", "register"),
    ),
    GoodCircuit(name="no voltages", loads=_plant, sent=("i", "p", "n", "register"), role=PointRole.SOLAR, expected=1),
    GoodCircuit(name="plug", loads=_single, role=PointRole.LOAD, expected=1, decimals=4, register_decimals=3),
)  # fmt: skip


def good_day(circuit: GoodCircuit, day: int, step: int = 300, missing: float = 0.03) -> Circuit:
    """A day of a good circuit: meter errors of class 1, snapshots that are not of one moment, rounding, lost samples.

    Registers count what truly flowed, in six parts between two samples, of which the snapshot is the last.
    """
    random = Random(f"{circuit.name}/{day}")
    fixed = Random(circuit.name)
    begin = (FIRST_DAY + timedelta(days=day) - timedelta(hours=6)).timestamp()
    names = PHASES if len(circuit.loads(Random(1), 12.0, 1) or PHASES) == 3 else ("",)
    gains = {(kind, name): fixed.uniform(0.994, 1.006) for kind in "uip" for name in names}
    level = {name: 230 * fixed.uniform(0.99, 1.01) for name in names}
    counted = {1: 4_000.0 + 50 * day, -1: 900.0 + 20 * day}
    times: list[float] = []
    rows: list[dict[Key, float]] = []
    for at in range(0, DAY, step):
        loads: Sequence[Load] | None = None
        hour = at / HOUR
        held: list[Load] | None = None
        for _ in range(6):
            if held is None or random.random() < 0.2:
                found = circuit.loads(random, hour, day)
                held = None if found is None else list(found)
            total = sum(load.power or circuit.standby for load in held) if held else 0.0
            counted[1 if total >= 0 else -1] += abs(total) * step / 6 / HOUR
        loads = held
        if random.random() < missing or (3 <= day % 50 <= 4 and 8 <= hour < 11):
            continue
        times.append(begin + at)
        rows.append(_sent(circuit, names, loads, random, gains, level, counted))
    keys = {key: None for row in rows for key in row}
    table = Table(times, {key: [row.get(key) for row in rows] for key in keys})
    return Circuit(circuit.name, [table], role=circuit.role, expected=circuit.expected, zone=ZONE)


def _sent(
    circuit: GoodCircuit,
    names: Sequence[str],
    loads: Sequence[Load] | None,
    random: Random,
    gains: dict[tuple[str, str], float],
    level: dict[str, float],
    counted: dict[int, float],
) -> dict[Key, float]:

    def noise(kind: str, name: str) -> float:
        return gains[kind, name] * (1 + random.gauss(0, 0.003))

    values: dict[Key, float] = {}
    sums = [0.0, 0.0, 0.0]
    currents: complex = 0
    volts = {}
    for number, name in enumerate(names):
        load = loads[number] if loads is not None else Load(0.0, 1.0)
        on = loads is not None
        power = load.power or circuit.standby * on
        vector = abs(power) / abs(load.factor)
        reactive = (vector**2 - power**2) ** 0.5 * (1 if load.factor > 0 else -1)
        apparent = vector * circuit.distortion
        u = level[name] * (1 + random.gauss(0, 0.01)) * on
        i = apparent * 1000 / u if on else 0.0
        volts[name] = u
        currents += rect(i, radians(-120 * number) - (acos(max(-1, min(1, power / vector))) if vector else 0))
        values[E.VOLTAGE, name] = round(u * noise("u", name), 1)
        values[E.CURRENT, name] = round(i * noise("i", name), circuit.ampere_decimals)
        p, q, s = power * noise("p", name), reactive * noise("p", name), apparent * noise("i", name)
        for at, value in enumerate((p, q, s)):
            sums[at] += value
        values[E.ACTIVE_POWER, name] = round(p, circuit.decimals)
        values[E.REACTIVE_POWER, name] = round(q, circuit.decimals)
        values[E.APPARENT_POWER, name] = round(s, circuit.decimals)
        values[E.POWER_FACTOR, name] = round(max(-1.0, min(1.0, p / s)), 2) if s else 1.0
    if len(names) == 3:
        for one, other in ("ab", "bc", "ca"):
            a, b = volts[one], volts[other]
            values[E.VOLTAGE, one + other] = round((a * a + b * b + a * b) ** 0.5 * random.gauss(1, 0.003), 1)
        # Harmonics of all phases add up in the neutral.
        values[E.CURRENT, "n"] = round(abs(currents) * random.uniform(0.95, 1.2), circuit.ampere_decimals)
        values[E.ACTIVE_POWER, ""] = round(sums[0] * random.gauss(1, 0.002), circuit.decimals)
        values[E.REACTIVE_POWER, ""] = round(sums[1], circuit.decimals)
        values[E.APPARENT_POWER, ""] = round(hypot(sums[0], sums[1]) * circuit.distortion, circuit.decimals)
        whole = values[E.APPARENT_POWER, ""]
        values[E.POWER_FACTOR, ""] = round(max(-1.0, min(1.0, sums[0] / whole)), 2) if whole else 1.0
    values[E.FREQUENCY, ""] = round(50 + random.gauss(0, 0.03), 2) if loads is not None else 0.0
    values[E.ACTIVE_ENERGY, ""] = _floor(counted[1], circuit.register_decimals)
    values[E.ACTIVE_ENERGY_RETURNED, ""] = _floor(counted[-1], circuit.register_decimals)
    return {key: value for key, value in values.items() if _is_sent(circuit, key, names)}


def _floor(value: float, decimals: int) -> float:
    return float(int(value * 10.0**decimals) / 10.0**decimals)


def _is_sent(circuit: GoodCircuit, key: Key, names: Sequence[str]) -> bool:
    quantity, phase = key
    if quantity in (E.ACTIVE_ENERGY, E.ACTIVE_ENERGY_RETURNED):
        return "register" in circuit.sent
    if quantity is E.FREQUENCY:
        return "f" in circuit.sent
    if phase == "n" or len(phase) == 2:
        return ("n" if phase == "n" else "line") in circuit.sent
    if phase == "" and names != ("",) and "sum" not in circuit.sent:
        return False
    kinds = {E.VOLTAGE: "u", E.CURRENT: "i", E.ACTIVE_POWER: "p", E.REACTIVE_POWER: "q", E.APPARENT_POWER: "s"}
    return kinds.get(quantity, "pf") in circuit.sent
