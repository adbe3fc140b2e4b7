"""Hoymiles micro-inverters behind OpenDTU, over MQTT: one value per topic, `solar/<serial>/<channel>/<value>`.

Source: OpenDTU documentation, "MQTT Topics". Channel 0 is what the inverter feeds in, and is the device of its serial
number; the channels from 1 on are its inputs, each a device of its own.
"""

from functools import partial

from greenpower.datatype import DataType, Field, Kind, Mqtt, value_parser

#: kW: the largest of these inverters has 5; a site file can set another
GREATEST_POWER = 10
PHASES = (("a", 1, ", phase A"), ("b", 2, ", phase B"), ("c", 3, ", phase C"))
GATHER = 5.0

kilowatts = partial(Field, unit="kW", sent_in="W", low=-100, high=100)
kilovars = partial(Field, unit="kvar", sent_in="var", low=-100, high=100)
volts = partial(Field, unit="V", low=0, high=1_500)
amperes = partial(Field, unit="A", low=0, high=100)
factor = partial(Field, unit="1", low=-1, high=1)
register = partial(Field, unit="kWh", low=0, high=10_000_000, greatest_rate=GREATEST_POWER)
yes_no = partial(Field, unit="1", kind=Kind.STATE, low=0, high=1)
phase_volts, phase_amperes = partial(volts, measures="voltage"), partial(amperes, measures="current")

FIELDS = (
    kilowatts("active_power", source="power", title="active power", measures="active_power"),
    kilowatts("dc_power", source="powerdc", title="power of all inputs"),
    kilovars("reactive_power", source="reactivepower", title="reactive power", measures="reactive_power"),
    factor("power_factor", source="powerfactor", title="power factor", measures="power_factor"),
    volts("voltage", title="voltage"),
    amperes("current", title="current"),
    *(
        phase_volts(f"voltage_{p}", source=f"voltage ph{n}-n", title=f"voltage{words}", phase=p)
        for p, n, words in PHASES
    ),
    *(
        phase_amperes(f"current_{p}", source=f"current ph{n}", title=f"current{words}", phase=p)
        for p, n, words in PHASES
    ),
    Field("frequency", unit="Hz", low=0, high=100, title="frequency", measures="frequency"),
    Field("efficiency", unit="%", low=0, high=100, title="efficiency"),
    Field("irradiation", unit="%", low=0, high=200, title="power, share of what the modules can give"),
    Field("temperature", unit="°C", low=-60, high=150, title="temperature"),
    register("active_energy", kind=Kind.COUNTER, source="yieldtotal", title="yield", measures="active_energy"),
    register("active_energy_today", kind=Kind.DAILY, source="yieldday", sent_in="Wh", title="yield of the day"),
    Field("power_limit", unit="%", source="limit_relative", low=0, high=100, title="limit that is set"),
    yes_no("reachable", title="reachable, 1 yes"),
    yes_no("producing", title="producing, 1 yes"),
)

DATATYPE = DataType(
    name="opendtu",
    title="Inverters behind OpenDTU",
    endpoint="opendtu-data",
    collection="opendtu_data",
    match=(
        Mqtt("solar/{device}/0/{field}", gather=GATHER),
        Mqtt("solar/{device}/status/{field}", gather=GATHER),
        Mqtt("solar/{device}/{channel}/{field}", device="{device}-{channel}", gather=GATHER),
    ),
    fields=FIELDS,
    parse=value_parser(noted="nothing that is measured"),
    stale_after=900,
    open=False,
    by_default=False,
)
