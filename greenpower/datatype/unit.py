"""Units: what each measures, which are energies, and what a plugin adds.

What belongs here: the table of all common units, and the one answer to what energy is. What does not: how one unit
becomes another (`greenpower.catalog.conversion`), and how a value is converted (`conversion`).
"""

from __future__ import annotations

import re

from greenpower.datatype.error import DeclarationError

SYMBOL = re.compile(r"[^\s|`,;\"\\]{1,16}")


class UnitOfMeasure(str):
    """A unit: its symbol, which is the text itself, and what it measures.

    A plugin that needs a unit which `UNITS` has not writes `unit=UnitOfMeasure("cfm", quantity="air flow",
    definition="foot**3 / minute")`. quantity: what it measures, for people. definition: the unit in terms of others, as
    pint reads it (`kWh`, `foot**3 / minute`); empty for the symbol. energy_per_hour: of a unit of energy (reactive and
    apparent too), how much of it 1 kW (1 kvar, 1 kVA) makes in an hour; None for others. Raises DeclarationError.
    """

    __slots__ = ("definition", "energy_per_hour", "quantity")

    quantity: str
    definition: str
    energy_per_hour: float | None

    def __new__(
        cls, symbol: str, *, quantity: str, definition: str = "", energy_per_hour: float | None = None
    ) -> UnitOfMeasure:
        if not SYMBOL.fullmatch(symbol) or not symbol.isprintable():
            raise DeclarationError(f"unit {symbol!r} is not 1 to 16 printable characters without a space")
        if not quantity:
            raise DeclarationError(f"unit {symbol!r}: quantity is empty: say what it measures")
        if energy_per_hour is not None and not 0 < energy_per_hour < float("inf"):
            raise DeclarationError(f"unit {symbol!r}: energy_per_hour={energy_per_hour} is not above 0")
        unit = super().__new__(cls, symbol)
        unit.quantity, unit.definition, unit.energy_per_hour = quantity, definition or symbol, energy_per_hour
        return unit

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, str | float | None]]:
        given = {"quantity": self.quantity, "definition": self.definition, "energy_per_hour": self.energy_per_hour}
        return (str(self),), given


#: (quantity, units of it); one with a definition of its own is written `symbol=definition`
_TABLE = (
    ("voltage", "V mV kV"),
    ("current", "A mA kA"),
    ("active power", "W mW kW MW GW"),
    ("reactive power", "var kvar Mvar"),
    ("apparent power", "VA kVA MVA"),
    ("frequency", "Hz kHz"),
    ("angle", "°"),
    ("resistance", "Ω kΩ"),
    ("electric charge", "Ah mAh"),
    ("temperature", "°C °F K"),
    ("ratio, relative humidity, distortion", "%"),
    ("concentration, parts of the whole", "ppm ppb"),
    ("mass concentration", "µg/m³ mg/m³ g/m³"),
    ("pressure", "Pa hPa kPa MPa mbar bar psi"),
    ("rotational speed", "rpm"),
    ("volume", "L m³ mL"),
    ("volume flow", "L/s L/min L/h m³/h m³/s"),
    ("mass", "g kg t"),
    ("mass flow", "kg/s kg/h"),
    ("length, precipitation", "mm cm m km"),
    ("precipitation rate", "mm/h"),
    ("area", "m²"),
    ("speed", "m/s km/h"),
    ("irradiance", "W/m²"),
    ("irradiation", "Wh/m² kWh/m²"),
    ("illuminance", "lx"),
    ("radio signal strength", "dBm"),
    ("sound level, attenuation", "dB"),
    ("conductivity", "µS/cm mS/cm"),
    ("data", "B kB MB GB"),
    ("running time", "h d"),
    ("time, epoch seconds", "s ms"),
    ("interval", "min"),
    ("no dimension: power factor, count, code", "1=dimensionless"),
)
#: energies of each kind, with how much of each 1 kW (1 kvar, 1 kVA) makes in an hour
_ENERGIES: tuple[tuple[str, dict[str, float]], ...] = (
    (
        "active energy",
        {"Wh": 1000, "kWh": 1, "MWh": 0.001, "GWh": 0.000001, "J": 3_600_000, "kJ": 3600, "MJ": 3.6, "GJ": 0.0036},
    ),
    ("reactive energy", {"varh": 1000, "kvarh": 1, "Mvarh": 0.001}),
    ("apparent energy", {"VAh": 1000, "kVAh": 1, "MVAh": 0.001}),
)


def _table() -> dict[str, UnitOfMeasure]:
    found = {}
    for quantity, units in _TABLE:
        for item in units.split():
            symbol, _, definition = item.partition("=")
            found[symbol] = UnitOfMeasure(symbol, quantity=quantity, definition=definition)
    for quantity, energies in _ENERGIES:
        for symbol, per_hour in energies.items():
            found[symbol] = UnitOfMeasure(symbol, quantity=quantity, energy_per_hour=per_hour)
    return found


UNITS: dict[str, UnitOfMeasure] = _table()


def unit_of(unit: str) -> UnitOfMeasure:
    """A unit by its symbol; one of a plugin is itself. Raises DeclarationError for one that is not known."""
    if isinstance(unit, UnitOfMeasure):
        return unit
    try:
        return UNITS[unit]
    except KeyError:
        raise DeclarationError(
            f"unknown unit {unit!r}; choose from {', '.join(UNITS)}, or add one: UnitOfMeasure({unit!r}, quantity='…')"
        ) from None


def energy_per_hour(unit: str) -> float | None:
    """How much energy in a unit 1 kW (1 kvar, 1 kVA) makes in an hour; None if it is no unit of energy."""
    known = unit if isinstance(unit, UnitOfMeasure) else UNITS.get(unit)
    return None if known is None else known.energy_per_hour
