"""LoRaWAN devices on The Things Stack (The Things Network), over MQTT: `v3/<application>/devices/<device>/up`.

Source: The Things Stack documentation, "Data Formats", "MQTT Server" and "Payload Formatters". What a device measured
is in `normalized_payload`, in fixed units, or in `decoded_payload` under the keys of its formatter.
"""

from functools import partial
from typing import Any

from greenpower.datatype import DataType, Field, Http, Kind, Mqtt, json_parser

#: kW (m³ per hour for water); a site file can set another
GREATEST_POWER, GREATEST_FLOW = 1_000, 1_000
DAY = 86_400
UPLINK = "uplink_message"


def value(name: str, unit: str, at: str, keys: tuple[str, ...], low: float, high: float, **given: Any) -> Field:
    """A value by its place in the normalized payload ("" for none), and by the keys that formatters use."""
    sources: tuple[str, ...] = (f"{UPLINK}.normalized_payload.0.{at}",) if at else ()
    sources += tuple(f"{UPLINK}.decoded_payload.{key}" for key in keys)
    return Field(name, unit=unit, source=sources, low=low, high=high, **{"title": name.replace("_", " "), **given})


register = partial(value, at="", kind=Kind.COUNTER, low=0, high=10**9)

FIELDS = (
    value("temperature", "°C", "air.temperature", ("temperature", "temp"), -60, 200),
    value("humidity", "%", "air.relativeHumidity", ("humidity",), 0, 100, title="relative humidity"),
    value("pressure", "hPa", "air.pressure", ("pressure",), 100, 1_200, title="air pressure"),
    value("co2", "ppm", "air.co2", ("co2",), 0, 50_000, title="carbon dioxide"),
    value("illuminance", "lx", "air.lightIntensity", ("illuminance",), 0, 200_000),
    value("soil_moisture", "%", "soil.moisture", ("soil_moisture",), 0, 100, title="moisture of the soil"),
    value("wind_speed", "m/s", "wind.speed", ("wind_speed",), 0, 120),
    value("wind_direction", "°", "wind.direction", ("wind_direction",), 0, 360, kind=Kind.ANGLE),
    value("active_power", "kW", "", ("power", "active_power"), -10_000, 10_000, sent_in="W", measures="active_power"),
    register(
        "active_energy", "kWh", keys=("energy", "active_energy"), greatest_rate=GREATEST_POWER, measures="active_energy"
    ),
    register("volume", "m³", keys=("volume",), greatest_rate=GREATEST_FLOW, title="volume of water or gas"),
    value("battery", "%", "", ("battery_level",), 0, 100),
    value("battery_voltage", "V", "battery", ("battery_voltage",), 0, 100, title="voltage of the battery"),
    Field("signal", unit="dBm", source=f"{UPLINK}.rx_metadata.0.rssi", low=-200, high=50, title="signal strength"),
    Field(
        "signal_to_noise", unit="dB", source=f"{UPLINK}.rx_metadata.0.snr", low=-100, high=100, title="signal to noise"
    ),
)

DATATYPE = DataType(
    name="ttn",
    title="LoRaWAN devices on The Things Stack",
    endpoint="ttn-data",
    collection="ttn_data",
    match=(Mqtt("v3/{application}/devices/{device}/up"), Http("ttn")),
    fields=FIELDS,
    parse=json_parser(
        device="end_device_ids.device_id",
        time="received_at",
        message_id="correlation_ids.0",
        ignore=("simulated",),
        noted="nothing that is measured",
    ),
    stale_after=DAY,
    open=False,
    by_default=False,
)
