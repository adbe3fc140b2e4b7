"""Shelly devices of the first generation over MQTT: EM and 3EM, and relays and plugs that measure.

Source: Shelly's API documentation of the first generation, "MQTT" of Shelly EM, 3EM, 1PM, Plug and 4Pro. Each value has
a topic of its own and no time; those that come within two seconds are one reading. Each channel is a device.
"""

from functools import partial

from greenpower.datatype import ON_OFF, DataType, Field, Kind, Mqtt, value_parser

#: kW: three phases of 120 A; a site file can set another
GREATEST_POWER = 90
WATT_MINUTES = "watt-minutes of the last interval; `total` is the register"

CHANNEL = "shellies/{device}/emeter/{channel}"
GATHER = 2.0

power = partial(Field, low=-1_000, high=1_000)
register = partial(Field, unit="kWh", kind=Kind.COUNTER, low=0, high=10_000_000, greatest_rate=GREATEST_POWER)
active, returned = partial(register, measures="active_energy"), partial(register, measures="active_energy_returned")

FIELDS = (
    power("active_power", source="power", unit="kW", sent_in="W", title="active power", measures="active_power"),
    power("reactive_power", unit="kvar", sent_in="var", title="reactive power", measures="reactive_power"),
    Field("power_factor", source="pf", unit="1", low=-1, high=1, title="power factor", measures="power_factor"),
    Field("voltage", unit="V", low=0, high=1_000, title="voltage", measures="voltage"),
    Field("current", unit="A", low=0, high=1_000, title="current", measures="current"),
    active("active_energy", source="total", sent_in="Wh", title="active energy"),
    returned("active_energy_returned", source="total_returned", sent_in="Wh", title="active energy returned"),
    register(
        "relay_energy", source="energy", sent_in="watt * minute", title="active energy of a relay since it started"
    ),
    Field("relay", unit="1", kind=Kind.STATE, words={**ON_OFF, "overpower": 0}, low=0, high=1, title="relay, 1 on"),
)

DATATYPE = DataType(
    name="shelly_gen1",
    title="Shelly devices, first generation",
    endpoint="shelly-gen1-data",
    collection="shelly_gen1_data",
    match=(
        Mqtt(f"{CHANNEL}/{{field}}", device="{device}-{channel}", gather=GATHER),
        Mqtt(f"{CHANNEL}/energy", device="{device}-{channel}", noted=WATT_MINUTES),
        Mqtt(f"{CHANNEL}/returned_energy", device="{device}-{channel}", noted=WATT_MINUTES),
        Mqtt("shellies/{device}/relay/{channel}/{field}", device="{device}-relay-{channel}", gather=GATHER),
        Mqtt("shellies/{device}/{field}/{channel}", device="{device}-{field}-{channel}", gather=GATHER),
    ),
    fields=FIELDS,
    parse=value_parser(noted="nothing that is measured"),
    stale_after=300,
    open=False,
    by_default=False,
)
