"""Zigbee devices behind Zigbee2MQTT: one JSON object per message on `zigbee2mqtt/<friendly name>`.

Source: Zigbee2MQTT documentation, "MQTT Topics and Messages" and "Exposes". What a device sends depends on its model;
the keys are the same for all. `last_seen` is the time, where the setting `advanced.last_seen` is on.
"""

from functools import partial
from typing import Any

from greenpower.datatype import ON_OFF, DataType, Field, Kind, Model, Mqtt, json_parser, json_wire

#: kW: what a socket or a clamp of 120 A can carry on three phases; a site file can set another
GREATEST_POWER = 90
DAY = 86_400

PHASES = ("a", "b", "c")
#: what is no measurement: firmware, buttons, settings, colours
NO_VALUES = (
    "action", "brightness", "child_lock", "color", "color_mode", "color_temp", "device", "indicator_mode",
    "power_on_behavior", "power_outage_count", "power_outage_memory", "update", "update_available",
)  # fmt: skip


def value(name: str, **given: Any) -> Field:
    """A field whose title is its name, unless it is given."""
    return Field(name, **{"title": name.replace("_", " "), **given})


kilowatts = partial(value, unit="kW", sent_in="W", low=-1_000, high=1_000)
volts = partial(value, unit="V", low=0, high=1_000)
amperes = partial(value, unit="A", low=-1_000, high=1_000)
register = partial(value, unit="kWh", kind=Kind.COUNTER, low=0, high=10_000_000, greatest_rate=GREATEST_POWER)
on_off = partial(value, unit="1", kind=Kind.STATE, words=ON_OFF, low=0, high=1)

FIELDS = (
    kilowatts("active_power", source="power", measures="active_power"),
    *(
        kilowatts(f"active_power_{one}", source=f"power_phase_{one}", measures="active_power", phase=one)
        for one in PHASES
    ),
    value(
        "apparent_power",
        unit="kVA",
        sent_in="VA",
        source="power_apparent",
        low=0,
        high=1_000,
        measures="apparent_power",
    ),
    value(
        "reactive_power",
        unit="kvar",
        sent_in="var",
        source="power_reactive",
        low=-1_000,
        high=1_000,
        measures="reactive_power",
    ),
    value("power_factor", unit="1", low=-1, high=1, measures="power_factor"),
    volts("voltage", measures="voltage"),
    *(volts(f"voltage_{one}", source=f"voltage_phase_{one}", measures="voltage", phase=one) for one in PHASES),
    amperes("current", measures="current"),
    *(amperes(f"current_{one}", source=f"current_phase_{one}", measures="current", phase=one) for one in PHASES),
    value("frequency", unit="Hz", source="ac_frequency", low=0, high=100, measures="frequency"),
    register("active_energy", source="energy", measures="active_energy"),
    register("active_energy_returned", source="produced_energy", measures="active_energy_returned"),
    value("temperature", unit="°C", low=-60, high=200),
    value("humidity", unit="%", low=0, high=100, title="relative humidity"),
    value("pressure", unit="hPa", low=100, high=1_200, title="air pressure"),
    value("co2", unit="ppm", low=0, high=50_000, title="carbon dioxide"),
    value("illuminance", unit="lx", source="illuminance_lux", low=0, high=200_000),
    value("battery", unit="%", low=0, high=100),
    value("battery_voltage", unit="V", sent_in="mV", low=0, high=100, title="voltage of the battery"),
    value("link_quality", unit="1", source="linkquality", low=0, high=255),
    on_off("relay", source="state", title="relay, 1 on"),
    on_off("occupancy", title="somebody is there, 1 yes"),
    on_off("contact", title="contact, 1 closed"),
    on_off("water_leak", title="water where none should be, 1 yes"),
)

#: a battery has its voltage under the same key as the mains, but in mV
OF_BATTERIES = {"battery": {"voltage": "battery_voltage"}}
BATTERY = ("battery", "battery_voltage")
MODELS = (
    Model(name="plug", fields=tuple(field.name for field in FIELDS if field.name not in BATTERY), phases=1),
    Model(
        name="sensor",
        fields=("temperature", "humidity", "link_quality", *BATTERY),
        spelling={"battery_voltage": "voltage"},
    ),
)

DATATYPE = DataType(
    name="zigbee2mqtt",
    title="Zigbee devices",
    endpoint="zigbee2mqtt-data",
    collection="zigbee2mqtt_data",
    match=(Mqtt("zigbee2mqtt/{device}"),),
    fields=FIELDS,
    parse=json_parser(time="last_seen", ignore=NO_VALUES, noted="nothing that is measured", where=OF_BATTERIES),
    wire=json_wire(FIELDS, ids="0x00158d000#######", time="last_seen", models=MODELS),
    stale_after=DAY,
    open=False,
    by_default=False,
)
