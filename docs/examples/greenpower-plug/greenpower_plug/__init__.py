"""Metering plugs over MQTT that publish each value on a topic of its own. Values within 2 s are one reading.

Source: the vendor's description of the MQTT interface.
"""

from greenpower.datatype import ON_OFF, DataType, Field, Kind, Mqtt, value_parser

FIELDS = (
    Field("active_power", unit="kW", sent_in="W", source="power", low=-4, high=4, title="active power"),
    Field(
        "active_energy", unit="kWh", sent_in="Wh", source="total", kind=Kind.COUNTER, low=0, high=10**6,
        greatest_rate=4, title="active energy",
    ),
    Field("relay", unit="1", kind=Kind.STATE, words=ON_OFF, low=0, high=1, title="relay, 1 is closed"),
)  # fmt: skip

DATATYPE = DataType(
    name="plug",
    title="Metering plugs",
    endpoint="plug-data",
    collection="plug_data",
    match=(Mqtt("plugs/{device}/{field}", gather=2.0),),
    fields=FIELDS,
    parse=value_parser(),
    stale_after=120,
    open=False,
)
