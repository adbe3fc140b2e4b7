"""Shelly devices of the second generation and later (Plus, Pro, Gen3, Gen4), over MQTT.

Source: Shelly technical documentation, "MQTT", "Notifications" and the components Switch, PM1, Cover, EM, EM1, EMData
and EM1Data. Devices publish each change of a status as a notification to `<id>/events/rpc`, with the time and what
changed; registers of energy come once a minute. `rpc_ntf` must be on, as it is when a device is new.
"""

from collections.abc import Iterator
from functools import partial

from greenpower.datatype import ON_OFF, DataType, Field, Http, Kind, Metered, Mqtt, json_parser

#: kW: three phases of 120 A; a site file can set another
GREATEST_POWER = 90
PHASES = ("a", "b", "c")
SWITCHES, CLAMPS = range(4), range(3)
#: components that measure what they switch
SWITCHING = ("switch", "pm1", "cover", "light")
HOUR = 3_600

kilowatts = partial(Field, unit="kW", sent_in="W", low=-1_000, high=1_000)
kilovolt_amperes = partial(Field, unit="kVA", sent_in="VA", low=0, high=1_000)
volts = partial(Field, unit="V", low=0, high=1_000)
amperes = partial(Field, unit="A", low=0, high=1_000)
factor = partial(Field, unit="1", low=-1, high=1)
hertz = partial(Field, unit="Hz", low=0, high=100)
register = partial(
    Field, unit="kWh", sent_in="Wh", kind=Kind.COUNTER, low=0, high=10_000_000, greatest_rate=GREATEST_POWER
)  # fmt: skip


def phase(letter: str) -> Iterator[Field]:
    """One phase of a meter of three (`em:0`); its registers are in `emdata:0`."""
    at, of = f"params.em:0.{letter}_", f"phase {letter.upper()}"
    yield kilowatts(
        f"active_power_{letter}",
        source=f"{at}act_power",
        title=f"active power, {of}",
        measures="active_power",
        phase=letter,
    )
    yield kilovolt_amperes(
        f"apparent_power_{letter}",
        source=f"{at}aprt_power",
        title=f"apparent power, {of}",
        measures="apparent_power",
        phase=letter,
    )
    yield factor(
        f"power_factor_{letter}", source=f"{at}pf", title=f"power factor, {of}", measures="power_factor", phase=letter
    )
    yield volts(f"voltage_{letter}", source=f"{at}voltage", title=f"voltage, {of}", measures="voltage", phase=letter)
    yield amperes(f"current_{letter}", source=f"{at}current", title=f"current, {of}", measures="current", phase=letter)
    yield hertz(f"frequency_{letter}", source=f"{at}freq", title=f"frequency, {of}", measures="frequency", phase=letter)
    data = f"params.emdata:0.{letter}_total_act"
    yield register(
        f"active_energy_{letter}",
        source=f"{data}_energy",
        title=f"active energy, {of}",
        measures="active_energy",
        phase=letter,
    )
    yield register(
        f"active_energy_returned_{letter}",
        source=f"{data}_ret_energy",
        title=f"active energy returned, {of}",
        measures="active_energy_returned",
        phase=letter,
    )


def clamp(number: int) -> Iterator[Field]:
    """One clamp of a meter of single phases (`em1:0` …)."""
    at, data, of = f"params.em1:{number}", f"params.em1data:{number}", f"clamp {number}"
    yield kilowatts(
        f"clamp_{number}_power",
        source=f"{at}.act_power",
        title=f"active power, {of}",
        measures="active_power",
        circuit=of,
    )
    yield kilovolt_amperes(
        f"clamp_{number}_apparent_power",
        source=f"{at}.aprt_power",
        title=f"apparent power, {of}",
        measures="apparent_power",
        circuit=of,
    )
    yield factor(
        f"clamp_{number}_power_factor",
        source=f"{at}.pf",
        title=f"power factor, {of}",
        measures="power_factor",
        circuit=of,
    )
    yield volts(
        f"clamp_{number}_voltage", source=f"{at}.voltage", title=f"voltage, {of}", measures="voltage", circuit=of
    )
    yield amperes(
        f"clamp_{number}_current", source=f"{at}.current", title=f"current, {of}", measures="current", circuit=of
    )
    yield register(
        f"clamp_{number}_energy",
        source=f"{data}.total_act_energy",
        title=f"active energy, {of}",
        measures="active_energy",
        circuit=of,
    )
    yield register(
        f"clamp_{number}_energy_returned",
        source=f"{data}.total_act_ret_energy",
        title=f"active energy returned, {of}",
        measures="active_energy_returned",
        circuit=of,
    )


def switch(number: int) -> Iterator[Field]:
    """One channel that switches or dims, with what it measures."""

    def at(key: str) -> tuple[str, ...]:
        return tuple(f"params.{component}:{number}.{key}" for component in SWITCHING)

    of = f"channel {number}"
    yield Field(
        f"switch_{number}",
        unit="1",
        kind=Kind.STATE,
        words=ON_OFF,
        low=0,
        high=1,
        source=at("output"),
        title=f"{of}, 1 on",
    )
    yield kilowatts(
        f"switch_{number}_power", source=at("apower"), title=f"active power, {of}", measures="active_power", circuit=of
    )
    yield volts(
        f"switch_{number}_voltage", source=at("voltage"), title=f"voltage, {of}", measures="voltage", circuit=of
    )
    yield amperes(
        f"switch_{number}_current", source=at("current"), title=f"current, {of}", measures="current", circuit=of
    )
    yield factor(
        f"switch_{number}_power_factor",
        source=at("pf"),
        title=f"power factor, {of}",
        measures="power_factor",
        circuit=of,
    )
    yield hertz(
        f"switch_{number}_frequency", source=at("freq"), title=f"frequency, {of}", measures="frequency", circuit=of
    )
    yield register(
        f"switch_{number}_energy",
        source=at("aenergy.total"),
        title=f"active energy, {of}",
        measures="active_energy",
        circuit=of,
    )
    yield Field(
        f"switch_{number}_temperature",
        unit="°C",
        low=-60,
        high=200,
        source=at("temperature.tC"),
        title=f"temperature, {of}",
    )


FIELDS = (
    kilowatts(
        "active_power", source="params.em:0.total_act_power", title="active power, total", measures="active_power"
    ),
    kilovolt_amperes(
        "apparent_power",
        source="params.em:0.total_aprt_power",
        title="apparent power, total",
        measures="apparent_power",
    ),
    amperes("current", source="params.em:0.total_current", title="current, sum of the phases"),
    amperes("current_n", source="params.em:0.n_current", title="current, neutral", measures="current", phase="n"),
    register(
        "active_energy", source="params.emdata:0.total_act", title="active energy, total", measures="active_energy"
    ),
    register(
        "active_energy_returned",
        source="params.emdata:0.total_act_ret",
        title="active energy returned, total",
        measures="active_energy_returned",
    ),
    *(field for letter in PHASES for field in phase(letter)),
    *(field for number in CLAMPS for field in clamp(number)),
    *(field for number in SWITCHES for field in switch(number)),
)

DATATYPE = DataType(
    name="shelly",
    title="Shelly devices",
    endpoint="shelly-data",
    collection="shelly_data",
    match=(Mqtt("{device}/events/rpc"), Http("shelly")),
    fields=FIELDS,
    parse=json_parser(
        device="src",
        time="params.ts",
        time_form="s",
        ignore=("dst", "method"),
        noted="a notification without measurements",
    ),
    stale_after=HOUR,
    open=False,
    metered=(
        Metered(fields=("active_energy",)),
        *(Metered(fields=(f"clamp_{number}_energy",)) for number in CLAMPS),
        *(Metered(fields=(f"switch_{number}_energy",)) for number in SWITCHES),
    ),
    by_default=False,
)
