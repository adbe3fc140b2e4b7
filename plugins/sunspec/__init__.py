"""Inverters and meters that speak SunSpec over Modbus, dialled: what they have is found by asking.

Source: the model definitions of the SunSpec Alliance (models 101 to 103, 111 to 113, 160, 201 to 204).
"""

from functools import partial

from greenpower.datatype import DataType, Dialled, Field, Kind, Metered, PointRole
from greenpower.framing.sunspec import SunSpecParser
from greenpower.framing.sunspec_models import MAX_INPUTS

PHASES = (("", ""), ("_a", ", phase A"), ("_b", ", phase B"), ("_c", ", phase C"))
PAIRS = ("ab", "bc", "ca")
#: W, since the registers count Wh: a large plant; a site file can set the installed power
GREATEST_POWER = 100_000_000
STATES = ("off", "sleeping", "starting", "tracking", "throttled", "shutting down", "fault", "standby")

volts = partial(Field, unit="V", low=-100_000, high=100_000)
amperes = partial(Field, unit="A", low=-100_000, high=100_000)
power = partial(Field, low=-1_000_000, high=1_000_000)
register = partial(Field, unit="Wh", kind=Kind.COUNTER, low=0, high=10**15, greatest_rate=GREATEST_POWER)
celsius = partial(Field, unit="°C", low=-60, high=200)

FIELDS = (
    *(amperes(f"current{key}", title=f"current{words}", measures="current", phase=key[1:]) for key, words in PHASES),
    *(
        volts(f"voltage{key}", title=f"voltage to neutral{words}", measures="voltage", phase=key[1:])
        for key, words in PHASES
    ),
    *(
        volts(f"voltage_{pair}", title=f"voltage, phases {pair.upper()}", measures="voltage", phase=pair)
        for pair in PAIRS
    ),
    *(
        power(f"active_power{key}", unit="kW", title=f"active power{words}", measures="active_power", phase=key[1:])
        for key, words in PHASES
    ),
    *(
        power(
            f"apparent_power{key}", unit="kVA", title=f"apparent power{words}", measures="apparent_power", phase=key[1:]
        )
        for key, words in PHASES
    ),
    *(
        power(
            f"reactive_power{key}",
            unit="kvar",
            title=f"reactive power{words}",
            measures="reactive_power",
            phase=key[1:],
        )
        for key, words in PHASES
    ),
    *(
        Field(
            f"power_factor{key}",
            unit="1",
            low=-1,
            high=1,
            title=f"power factor{words}",
            measures="power_factor",
            phase=key[1:],
        )
        for key, words in PHASES
    ),
    Field("frequency", unit="Hz", low=0, high=100, title="frequency", measures="frequency"),
    register("active_energy", title="active energy, made by the inverter", measures="active_energy"),
    # Which way counts as positive power differs between makers of meters: these are compared with nothing.
    *(register(f"active_energy_exported{key}", title=f"active energy, exported{words}") for key, words in PHASES),
    *(register(f"active_energy_imported{key}", title=f"active energy, imported{words}") for key, words in PHASES),
    amperes("dc_current", title="direct current"),
    volts("dc_voltage", title="direct voltage"),
    power("dc_power", unit="kW", title="direct-current power"),
    celsius("temperature_cabinet", title="temperature of the cabinet"),
    celsius("temperature_heat_sink", title="temperature of the heat sink"),
    Field(
        "operating_state", unit="1", kind=Kind.ENUMERATION, codes=dict(enumerate(STATES, 1)), title="operating state"
    ),
    *(amperes(f"dc_current_{number}", title=f"direct current, input {number}") for number in range(1, MAX_INPUTS + 1)),
    *(volts(f"dc_voltage_{number}", title=f"direct voltage, input {number}") for number in range(1, MAX_INPUTS + 1)),
    *(power(f"dc_power_{number}", unit="kW", title=f"power, input {number}") for number in range(1, MAX_INPUTS + 1)),
    *(register(f"dc_energy_{number}", title=f"energy, input {number}") for number in range(1, MAX_INPUTS + 1)),
)

DATATYPE = DataType(
    name="sunspec",
    title="SunSpec inverters and meters",
    endpoint="sunspec-data",
    collection="sunspec_data",
    match=(Dialled(protocol="modbus"),),
    fields=FIELDS,
    parse=SunSpecParser(),
    stale_after=120,
    open=False,
    metered=(
        Metered(fields=("active_energy",), role=PointRole.SOLAR),
        Metered(fields=("active_energy_imported",), role=PointRole.GRID_IMPORT),
        Metered(fields=("active_energy_exported",), role=PointRole.GRID_EXPORT),
    ),
    by_default=False,
)
