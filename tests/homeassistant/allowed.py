"""What Home Assistant allows of a sensor: units and state classes by device class, as its sensor component has them.

Only the device classes that units of ours can have. None among units: no unit.
"""

from __future__ import annotations

from typing import Any

MEASURED: set[str | None] = {"measurement", None}
TOTALS: set[str | None] = {"total", "total_increasing", None}
UNITS: dict[str, set[str | None]] = {
    "apparent_power": {"mVA", "VA", "kVA"},
    "carbon_dioxide": {"ppm"},
    "current": {"A", "mA"},
    "duration": {"d", "h", "min", "s", "ms"},
    "energy": {"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh"},
    "energy_storage": {"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh"},
    "enum": {None},
    "frequency": {"Hz", "kHz"},
    "gas": {"m³", "L"},
    "humidity": {"%"},
    "illuminance": {"lx"},
    "irradiance": {"W/m²"},
    "pm1": {"µg/m³"},
    "pm10": {"µg/m³"},
    "pm25": {"µg/m³"},
    "power": {"mW", "W", "kW", "MW"},
    "power_factor": {"%", None},
    "pressure": {"Pa", "hPa", "kPa", "bar", "mbar", "psi"},
    "reactive_energy": {"varh", "kvarh"},
    "reactive_power": {"mvar", "var", "kvar"},
    "signal_strength": {"dB", "dBm"},
    "speed": {"m/s", "km/h"},
    "temperature": {"°C", "°F", "K"},
    "voltage": {"V", "mV", "kV"},
    "volume_storage": {"L", "m³"},
    "water": {"L", "m³"},
}
STATE_CLASSES: dict[str, set[str | None]] = {
    **dict.fromkeys(UNITS, MEASURED),
    "energy": TOTALS,
    "reactive_energy": TOTALS,
    "gas": TOTALS,
    "water": TOTALS,
    "duration": MEASURED | TOTALS,
    "enum": {None},
}
ANY_STATE_CLASS = MEASURED | TOTALS | {"measurement_angle"}
OF_A_SENSOR = {
    "platform", "unique_id", "name", "state_topic", "value_template", "availability_topic", "availability_template",
    "device_class", "state_class", "unit_of_measurement", "options",
}  # fmt: skip
OF_A_DEVICE = {"identifiers", "name", "model", "serial_number", "suggested_area"}


def check_class(device_class: str | None, state_class: str | None, unit: str | None) -> None:
    """That Home Assistant takes a unit and a state class together with a device class."""
    if device_class is None:
        assert state_class in ANY_STATE_CLASS
    else:
        assert unit in UNITS[device_class] and state_class in STATE_CLASSES[device_class], (device_class, unit)
    assert state_class != "measurement_angle" or unit == "°"


def check_sensor(sensor: dict[str, Any]) -> None:
    """That Home Assistant takes a sensor as it is."""
    assert set(sensor) <= OF_A_SENSOR and sensor["platform"] == "sensor", sensor
    assert sensor["unique_id"] and sensor["state_topic"], sensor
    check_class(sensor.get("device_class"), sensor.get("state_class"), sensor.get("unit_of_measurement"))
    assert ("options" in sensor) == (sensor.get("device_class") == "enum"), sensor
