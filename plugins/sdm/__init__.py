"""Eastron SDM meters (SDM630, SDM230, SDM120, SDM72D) behind gateways that pass Modbus RTU through TCP, or dialled.

Source: input registers of the SDM630 Modbus protocol (numbers 30001 and on, all float32); a smaller meter answers 0 for
what it does not measure. A request reads at most 60 registers, which every model of the series allows.
"""

from functools import partial

from greenpower.datatype import DataType, Dialled, Field, Kind, Metered, Tcp
from greenpower.framing.poll import Block, ModbusPoll, RegisterPoint

PHASES = ("a", "b", "c")
KILO = "0.001"
GREATEST_POWER = 1_000

volts = partial(Field, unit="V", low=0, high=1_000)
amperes = partial(Field, unit="A", low=0, high=10_000)
watts = partial(Field, low=-10_000, high=10_000)
register = partial(Field, unit="kWh", kind=Kind.COUNTER, low=0, high=10**9, greatest_rate=GREATEST_POWER)


def float_at(field: str, register: int, factor: str = "1") -> RegisterPoint:
    """A value at a register's number, less 30000."""
    return RegisterPoint(field=field, register=register, layout="float32", factor=factor)


FIELDS = (
    *(
        volts(f"voltage_{phase}", title=f"voltage, phase {phase.upper()}", measures="voltage", phase=phase)
        for phase in PHASES
    ),
    *(
        amperes(f"current_{phase}", title=f"current, phase {phase.upper()}", measures="current", phase=phase)
        for phase in PHASES
    ),
    *(
        watts(
            f"active_power_{phase}",
            unit="kW",
            title=f"active power, phase {phase.upper()}",
            measures="active_power",
            phase=phase,
        )
        for phase in PHASES
    ),
    watts("active_power", unit="kW", title="active power", measures="active_power"),
    watts("apparent_power", unit="kVA", title="apparent power", measures="apparent_power"),
    watts("reactive_power", unit="kvar", title="reactive power", measures="reactive_power"),
    Field("power_factor", unit="1", low=-1, high=1, title="power factor", measures="power_factor"),
    Field("frequency", unit="Hz", low=0, high=100, title="frequency", measures="frequency"),
    register("active_energy_imported", title="active energy, imported", measures="active_energy"),
    register("active_energy_exported", title="active energy, exported", measures="active_energy_returned"),
)

POLL = ModbusPoll(
    Block(
        register=1,
        function=4,
        points=(
            *(float_at(f"voltage_{phase}", 1 + 2 * at) for at, phase in enumerate(PHASES)),
            *(float_at(f"current_{phase}", 7 + 2 * at) for at, phase in enumerate(PHASES)),
            *(float_at(f"active_power_{phase}", 13 + 2 * at, KILO) for at, phase in enumerate(PHASES)),
            float_at("active_power", 53, KILO),
            float_at("apparent_power", 57, KILO),
        ),
    ),
    Block(
        register=61,
        function=4,
        points=(
            float_at("reactive_power", 61, KILO),
            float_at("power_factor", 63),
            float_at("frequency", 71),
            float_at("active_energy_imported", 73),
            float_at("active_energy_exported", 75),
        ),
    ),
    framing="rtu",
    every=30,
)

DATATYPE = DataType(
    name="sdm",
    title="Eastron SDM meters",
    endpoint="sdm-data",
    collection="sdm_data",
    match=(Tcp(registration="SDM-######", dialogue=POLL.dialogue), Dialled(protocol="modbus", framing="rtu")),
    fields=FIELDS,
    parse=POLL,
    stale_after=120,
    open=False,
    metered=(Metered(fields=("active_energy_imported",)),),
    by_default=False,
)
