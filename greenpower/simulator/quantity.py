"""Which quantity a field measures, by its unit, its kind and the words of its name and title.

What belongs here: the table from units and words to quantities. What does not: what a field says (`clue`), the
quantities (`feeder`, `curve`). No data type is named: a field that no rule knows gets a plausible wave between its
limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from greenpower.datatype import UNITS, Kind
from greenpower.datatype.unit import unit_of
from greenpower.simulator.clue import PEAK, Clue, Moment
from greenpower.simulator.curve import DAY, HOUR, SMOKE, SUN, WARMTH
from greenpower.simulator.feeder import EVERY_HOUR, INSTALLED, TARIFFS, Feeder, State

#: a register may rise by so many times what a feeder of its size takes
SAFETY_FACTOR = 2
#: of what the sun gives, so much goes back through a meter that nets
GIVEN_BACK = 0.8
#: how long a code holds
CODE_SECONDS = 1_800
EXPORT = re.compile(r"\b(export|received|reverse)")
#: what a feeder measures in the unit, and how many of the unit are one of the feeder's
SUMMED = {
    "kW": ("p", 1.0), "W": ("p", 1e3), "mW": ("p", 1e6), "MW": ("p", 1e-3), "GW": ("p", 1e-6),
    "kvar": ("q", 1.0), "var": ("q", 1e3), "Mvar": ("q", 1e-3),
    "kVA": ("s", 1.0), "VA": ("s", 1e3), "MVA": ("s", 1e-3),
}  # fmt: skip

Quantity = Callable[[Moment], float]


def quantity_of(clue: Clue) -> Quantity:
    """The quantity that a field measures."""
    if clue.field.kind in REGISTERS:
        return REGISTERS[clue.field.kind](_register(clue))
    if clue.field.kind is Kind.ENUMERATION:
        return _code(clue)
    if clue.field.kind is Kind.STATE:
        return _occurred if clue.field.unit == "s" else lambda moment: 1.0
    known = GAUGES.get(clue.field.unit)
    return known(clue) if known else _wave(clue)


def _phase(clue: Clue, name: str, *, total: bool = False, source: str = "state") -> Quantity:
    """A phase's quantity; without a phase the total or the mean of all."""

    def value(moment: Moment) -> float:
        state: State = getattr(moment, source)
        if clue.phase is not None:
            return float(getattr(state.phases[clue.phase % len(state.phases)], name))
        return state.total(name) if total else state.mean(name)

    return value


def _voltage(clue: Clue) -> Quantity:
    if clue.line:
        one, other = clue.line
        return lambda moment: moment.state.line_voltage(one, other)
    if clue.has("zero seq|negative seq"):
        return lambda moment: 0.004 * moment.state.mean("u") * (1 + 0.3 * clue.ripple.at(moment.second))
    if clue.has("battery"):
        return lambda moment: 26.4 + 0.4 * clue.ripple.at(moment.second)
    return _phase(clue, "u")


def _current(clue: Clue) -> Quantity:
    if clue.has("zero seq|negative seq|residual|neutral|harmonic|ground|current n|current g"):
        share = 0.002 if clue.has("residual|ground|current g") else 0.02 + 0.008 * clue.spread
        return lambda moment: share * moment.state.mean("i") * (1 + 0.3 * clue.ripple.at(moment.second))
    return _phase(clue, "i", source="demand" if clue.has("demand") else "state")


def _power(clue: Clue) -> Quantity:
    source = "monthly_peak" if clue.has("max") else "demand" if clue.has("demand") else "state"
    name, per_unit = SUMMED[clue.field.unit]
    value = _phase(clue, name, total=True, source=source)
    return lambda moment: per_unit * value(moment)


def _factor(clue: Clue) -> Quantity:
    if clue.has("factor"):
        return _phase(clue, "pf")
    return lambda moment: 1.0


def _angle(clue: Clue) -> Quantity:
    return _phase(clue, "i_angle" if clue.has("current") else "u_angle")


def _temperature(clue: Clue) -> Quantity:
    if clue.has("dew"):
        return lambda moment: 16.5 + 1.2 * clue.ripple.at(moment.second)
    if clue.has("air|outdoor|ambient"):
        return lambda moment: 21.0 + 9.0 * WARMTH.at(moment.second) + 0.3 * clue.ripple.at(moment.second)
    return lambda moment: (
        26.0 + 6.0 * WARMTH.at(moment.second) + (16.0 + 2.0 * clue.spread) * moment.state.load
        + 0.4 * clue.ripple.at(moment.second)
    )  # fmt: skip


def _percent(clue: Clue) -> Quantity:
    if clue.has("unbalance"):
        return lambda moment: moment.state.unbalance("i" if clue.has("current") else "u")
    if clue.has("harmonic|distortion"):
        level = (1.8 if clue.has("voltage") else 6.0) * (0.4 if clue.has(r"\b[357]") else 1.0) * (1 + 0.2 * clue.spread)
        return lambda moment: level * (1 + 0.15 * clue.ripple.at(moment.second))
    if clue.has("hum"):
        return lambda moment: 88.0 - 38.0 * WARMTH.at(moment.second) + 2.0 * clue.ripple.at(moment.second)
    return lambda moment: 70.0 + 10.0 * clue.spread + 2.0 * clue.ripple.at(moment.second)


def _dust(clue: Clue) -> Quantity:
    level = 62.0 if clue.has(r"pm1\b|pm1 ") else 118.0 if clue.has(r"pm2") else 174.0
    return lambda moment: level * SMOKE.at(moment.second) * (1 + 0.06 * clue.ripple.at(moment.second))


def _wave(clue: Clue) -> Quantity:
    """A field that nothing is known of: a slow wave in the lower part of its span."""
    low = clue.field.low if clue.field.low is not None else 0.0
    high = clue.field.high if clue.field.high is not None else low + 100.0
    level = low + (high - low) * 0.2
    swing = min((high - low) * 0.02, 0.1 * abs(level) or 1.0)
    return lambda moment: level + swing * clue.ripple.at(moment.second)


GAUGES: dict[str, Callable[[Clue], Quantity]] = {
    "V": _voltage,
    "A": _current,
    **dict.fromkeys(SUMMED, _power),
    "1": _factor,
    "Hz": lambda clue: lambda moment: moment.state.frequency,
    "°": _angle,
    "°C": _temperature,
    "%": _percent,
    "µg/m³": _dust,
    "kPa": lambda clue: lambda moment: 420.0 + 15.0 * clue.ripple.at(moment.second),
    "rpm": lambda clue: lambda moment: 30.0 * moment.state.frequency,
}


def _register(clue: Clue) -> Quantity:
    """An energy register, in its unit: total, phase, tariff, or frozen at the last midnight."""
    unit = unit_of(clue.field.unit)
    per_hour = unit.energy_per_hour
    tariff = re.search(r"tariff (\d)", clue.words)
    hours = TARIFFS[int(tariff[1]) - 1] if tariff and 1 <= int(tariff[1]) <= len(TARIFFS) else EVERY_HOUR
    export = EXPORT.search(clue.words) is not None
    share = 1 / 3 if clue.phase is not None else 1.0
    rate = clue.field.greatest_rate
    frozen = clue.has("frozen|midnight|00:00")

    def value(moment: Moment) -> float:
        now = moment.second - moment.second % DAY if frozen else moment.second
        return share * fitting(moment.feeder) * reading(moment.feeder, now)

    def fitting(feeder: Feeder) -> float:
        """Makes the feeder small enough for a register that can rise by so much only."""
        if rate is None or per_hour is None:
            return 1.0
        return min(1.0, rate / (SAFETY_FACTOR * per_hour * feeder.size))

    def reading(feeder: Feeder, second: float) -> float:
        if per_hour is not None:
            if unit.quantity == UNITS["kvarh"].quantity:
                return feeder.reactive_energy(second)[export] * per_hour
            if unit.quantity == UNITS["kVAh"].quantity:
                return feeder.apparent_energy(second) * per_hour
            return 0.0 if export else feeder.energy(second, hours) * per_hour
        return (second - INSTALLED) / HOUR

    return value


def _net(register: Quantity) -> Quantity:
    """What was taken less what a roof of the same size gave back: it falls at noon."""

    def value(moment: Moment) -> float:
        given = moment.feeder.size * (SUN.integral(moment.second) - SUN.integral(INSTALLED))
        return register(moment) - given * GIVEN_BACK

    return value


def _daily(register: Quantity) -> Quantity:
    """What was taken since midnight."""
    return lambda moment: max(0.0, register(moment) - register(moment.earlier(moment.second % DAY)))


def _delta(register: Quantity) -> Quantity:
    """What was taken since the last message."""
    return lambda moment: max(0.0, register(moment) - register(moment.earlier(moment.elapsed)))


def _code(clue: Clue) -> Quantity:
    """Each code in turn, the first for most of the time; of a bit field none for most of the time."""
    codes = sorted(clue.field.codes)
    values = [0, *(1 << code for code in codes)] if clue.field.bits else codes

    def value(moment: Moment) -> float:
        turn = int(moment.second / CODE_SECONDS + clue.spread * len(values))
        return float(values[turn // 2 % len(values)] if turn % 2 else values[0])

    return value


REGISTERS: dict[Kind, Callable[[Quantity], Quantity]] = {
    Kind.COUNTER: lambda register: register,
    Kind.NET: _net,
    Kind.DAILY: _daily,
    Kind.DELTA: _delta,
}


def _occurred(moment: Moment) -> float:
    """Epoch seconds of yesterday's peak."""
    return moment.second - moment.second % DAY - DAY + PEAK - moment.east
