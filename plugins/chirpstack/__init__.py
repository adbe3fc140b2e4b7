"""LoRaWAN devices behind ChirpStack 4, over MQTT as JSON: `application/<id>/device/<DevEUI>/event/up` and `…/status`.

Source: ChirpStack documentation, "Event types" and "MQTT". What a device measured is in `object`, by its codec; the
keys here are those that most codecs use, and a site file adds others.
"""

from functools import partial
from typing import Any

from greenpower.datatype import DataType, Field, Http, Kind, Mqtt, json_parser

#: kW (m³ per hour for water); a site file can set another
GREATEST_POWER, GREATEST_FLOW = 1_000, 1_000
DAY = 86_400
TOPIC = "application/{application}/device/{device}/event"
#: the only value of the status event
OF_STATUS = "batteryLevel"
#: what is about the radio and the network
NO_VALUES = (
    "adr", "batteryLevelUnavailable", "confirmed", "data", "devAddr", "dr", "externalPowerSource", "fCnt", "fPort",
    "joinServerContext", "margin", "regionConfigId", "relayRxInfo", "txInfo",
)  # fmt: skip


def value(name: str, unit: str, keys: tuple[str, ...], low: float, high: float, **given: Any) -> Field:
    """A value that the codec made; keys: what codecs call it."""
    sources = tuple(key if key == OF_STATUS else f"object.{key}" for key in keys)
    return Field(name, unit=unit, source=sources, low=low, high=high, **{"title": name.replace("_", " "), **given})


register = partial(value, kind=Kind.COUNTER, low=0, high=10**9)

FIELDS = (
    value("temperature", "°C", ("temperature", "temp"), -60, 200),
    value("humidity", "%", ("humidity", "relative_humidity"), 0, 100, title="relative humidity"),
    value("pressure", "hPa", ("pressure", "barometric_pressure"), 100, 1_200, title="air pressure"),
    value("co2", "ppm", ("co2", "CO2"), 0, 50_000, title="carbon dioxide"),
    value("illuminance", "lx", ("illuminance", "light", "lux"), 0, 200_000),
    value("soil_moisture", "%", ("soil_moisture", "moisture"), 0, 100, title="moisture of the soil"),
    value("active_power", "kW", ("power", "active_power"), -10_000, 10_000, sent_in="W", measures="active_power"),
    value("voltage", "V", ("voltage",), 0, 1_000, measures="voltage"),
    value("current", "A", ("current",), -10_000, 10_000, measures="current"),
    register(
        "active_energy", "kWh", ("energy", "active_energy"), greatest_rate=GREATEST_POWER, measures="active_energy"
    ),
    register("volume", "m³", ("volume", "water_volume"), greatest_rate=GREATEST_FLOW, title="volume of water or gas"),
    value("battery", "%", ("battery", "battery_level", OF_STATUS), 0, 100),
    Field("signal", unit="dBm", source="rxInfo.0.rssi", low=-200, high=50, title="signal strength at a gateway"),
    Field("signal_to_noise", unit="dB", source="rxInfo.0.snr", low=-100, high=100, title="signal to noise"),
)

DATATYPE = DataType(
    name="chirpstack",
    title="LoRaWAN devices behind ChirpStack",
    endpoint="chirpstack-data",
    collection="chirpstack_data",
    match=(Mqtt(f"{TOPIC}/up"), Mqtt(f"{TOPIC}/status"), Http("chirpstack")),
    fields=FIELDS,
    parse=json_parser(
        device="deviceInfo.devEui",
        time="time",
        message_id="deduplicationId",
        ignore=NO_VALUES,
        noted="nothing that is measured",
    ),
    stale_after=DAY,
    open=False,
    by_default=False,
)
