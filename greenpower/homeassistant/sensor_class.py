"""What Home Assistant calls a field: device class, state class and unit. Pure.

Home Assistant refuses a sensor whose unit or state class its device class does not allow; what fits none has no device
class, and keeps its unit. What does not belong here: topics and messages (`greenpower.homeassistant.announcement`).
"""

from __future__ import annotations

from typing import NamedTuple

from greenpower.datatype import Field, Kind

MEASUREMENT, MEASUREMENT_ANGLE = "measurement", "measurement_angle"
TOTAL, TOTAL_INCREASING = "total", "total_increasing"
UNITS_BY_CLASS = {
    "voltage": "V mV kV",
    "current": "A mA",
    "power": "mW W kW MW",
    "reactive_power": "var kvar",
    "apparent_power": "VA kVA",
    "energy": "Wh kWh MWh GWh J kJ MJ GJ",
    "reactive_energy": "varh kvarh",
    "frequency": "Hz kHz",
    "temperature": "°C °F K",
    "pressure": "Pa hPa kPa bar mbar psi",
    "water": "L",
    "duration": "d h min s ms",
    "illuminance": "lx",
    "irradiance": "W/m²",
    "signal_strength": "dBm",
    "speed": "m/s km/h",
}
CLASS_BY_UNIT = {unit: name for name, units in UNITS_BY_CLASS.items() for unit in units.split()}
# Of a unit that several quantities have: the words by which a title or a name tells which one it is.
CLASS_BY_WORDS = (
    ("%", ("humidity",), "humidity"),
    ("1", ("power factor",), "power_factor"),
    ("µg/m³", ("up to 1 ", "pm1_"), "pm1"),
    ("µg/m³", ("up to 2.5 ", "pm2_5"), "pm25"),
    ("µg/m³", ("up to 10 ", "pm10"), "pm10"),
    ("m³", ("gas",), "gas"),
    ("m³", ("water",), "water"),
    ("ppm", ("co2", "carbon dioxide"), "carbon_dioxide"),
)
# Amounts are counted. As a gauge, an amount is what is stored, if there is such a class.
AMOUNTS = frozenset({"energy", "reactive_energy", "water", "gas", "duration"})
CLASS_OF_STORED = {
    "energy": "energy_storage",
    "reactive_energy": None,
    "water": "volume_storage",
    "gas": "volume_storage",
}
STATE_CLASS_BY_KIND = {
    Kind.GAUGE: MEASUREMENT,
    Kind.ANGLE: MEASUREMENT_ANGLE,
    Kind.COUNTER: TOTAL_INCREASING,
    Kind.DAILY: TOTAL_INCREASING,
    Kind.NET: TOTAL,
}


class SensorClass(NamedTuple):
    """What a sensor is; None for what it has not."""

    device_class: str | None
    state_class: str | None
    unit: str | None

    @property
    def is_number(self) -> bool:
        """Whether Home Assistant takes only numbers from it."""
        return self.state_class is not None or self.unit is not None


def sensor_class(field: Field) -> SensorClass:
    """The class of a field's sensor.

    Registers are totals: of those that only rise, `total_increasing`. A delta is an amount, and no register that grows:
    it has no state class. An enumeration is a choice of words; bits are a text.
    """
    unit = None if field.unit == "1" else field.unit
    if field.kind is Kind.ENUMERATION:
        return SensorClass(None if field.bits else "enum", None, None)
    if field.kind is Kind.STATE:
        return SensorClass(None, None, unit)
    if field.kind is Kind.ANGLE:
        return SensorClass(None, MEASUREMENT_ANGLE if unit == "°" else None, unit)
    name = _device_class(field)
    if field.kind is Kind.GAUGE:
        name = CLASS_OF_STORED.get(name or "", name)
    elif name not in AMOUNTS:
        name = None
    return SensorClass(name, STATE_CLASS_BY_KIND.get(field.kind), unit)


def _device_class(field: Field) -> str | None:
    text = f"{field.title} {field.name}".casefold()
    for unit, words, name in CLASS_BY_WORDS:
        if unit == field.unit and any(word in text for word in words):
            return name
    return CLASS_BY_UNIT.get(field.unit)
