"""Plugs, switches and sensors with the Tasmota firmware, over MQTT.

Source: Tasmota documentation, "MQTT", "Energy monitoring" and "Sensors": telemetry on `tele/<topic>/SENSOR` and
`tele/<topic>/STATE`, every 300 s unless `TelePeriod` says otherwise. The device id is the topic of the device.
"""

from collections.abc import Iterator
from functools import partial

from greenpower.datatype import ON_OFF, DataType, Field, Kind, Mqtt, json_parser

#: kW: three phases of 63 A; a site file can set another
GREATEST_POWER = 45
TELEPERIOD = 300
#: sensors of the air that give the same values
AIR = ("AM2301", "BME280", "BME680", "DHT11", "HTU21", "SHT3X", "SHTC3", "SI7021")
#: of STATE and SENSOR, what is no measurement
NO_VALUES = (
    "Uptime",
    "Heap",
    "SleepMode",
    "Sleep",
    "LoadAvg",
    "MqttCount",
    "Berry",
    "Hostname",
    "IPAddress",
    "TempUnit",
    "PressureUnit",
)

kilowatts = partial(Field, unit="kW", sent_in="W", low=-1_000, high=1_000)
kilovolt_amperes = partial(Field, unit="kVA", sent_in="VA", low=0, high=1_000)
kilovars = partial(Field, unit="kvar", sent_in="var", low=-1_000, high=1_000)
volts = partial(Field, unit="V", low=0, high=1_000)
amperes = partial(Field, unit="A", low=0, high=1_000)
factor = partial(Field, unit="1", low=-1, high=1)
register = partial(Field, unit="kWh", low=0, high=10_000_000, greatest_rate=GREATEST_POWER)
relay = partial(Field, unit="1", kind=Kind.STATE, words=ON_OFF, low=0, high=1)


def phased(make: partial[Field], name: str, key: str) -> Iterator[Field]:
    """A value of `ENERGY`: a number, or in meters of three phases a list of three."""
    title = name.replace("_", " ")
    yield make(name, source=f"ENERGY.{key}", title=title, measures=name)
    for number, phase in enumerate("abc"):
        yield make(
            f"{name}_{phase}",
            source=f"ENERGY.{key}.{number}",
            title=f"{title}, phase {phase.upper()}",
            measures=name,
            phase=phase,
        )


def of_air(key: str) -> tuple[str, ...]:
    """The paths of a value in the objects of the sensors of air."""
    return tuple(f"{sensor}.{key}" for sensor in AIR)


FIELDS = (
    *phased(kilowatts, "active_power", "Power"),
    *phased(kilovolt_amperes, "apparent_power", "ApparentPower"),
    *phased(kilovars, "reactive_power", "ReactivePower"),
    *phased(factor, "power_factor", "Factor"),
    *phased(volts, "voltage", "Voltage"),
    *phased(amperes, "current", "Current"),
    Field("frequency", unit="Hz", source="ENERGY.Frequency", low=0, high=100, title="frequency", measures="frequency"),
    register(
        "active_energy", kind=Kind.COUNTER, source="ENERGY.Total", title="active energy", measures="active_energy"
    ),
    register("active_energy_today", kind=Kind.DAILY, source="ENERGY.Today", title="active energy since midnight"),
    Field(
        "temperature",
        unit="°C",
        source=(*of_air("Temperature"), "DS18B20.Temperature"),
        low=-60,
        high=200,
        title="temperature",
    ),
    Field("humidity", unit="%", source=of_air("Humidity"), low=0, high=100, title="relative humidity"),
    Field("pressure", unit="hPa", source=of_air("Pressure"), low=100, high=1_200, title="air pressure"),
    Field(
        "illuminance",
        unit="lx",
        source=("BH1750.Illuminance", "TSL2561.Illuminance"),
        low=0,
        high=200_000,
        title="illuminance",
    ),
    relay("relay", source=("POWER", "POWER1"), title="relay, 1 on"),
    *(relay(f"relay_{number}", source=f"POWER{number}", title=f"relay {number}, 1 on") for number in range(2, 9)),
    Field("signal", unit="dBm", source="Wifi.Signal", low=-200, high=0, title="radio signal strength"),
)

DATATYPE = DataType(
    name="tasmota",
    title="Tasmota devices",
    endpoint="tasmota-data",
    collection="tasmota_data",
    match=(Mqtt("tele/{device}/SENSOR"), Mqtt("tele/{device}/STATE")),
    fields=FIELDS,
    parse=json_parser(time="Time", ignore=(*NO_VALUES, "UptimeSec"), noted="nothing that is measured"),
    stale_after=3 * TELEPERIOD,
    open=False,
    by_default=False,
)
