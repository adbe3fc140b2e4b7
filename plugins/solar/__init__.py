"""Solar meters (Schneider PM5xxx) behind gateways that connect over TCP and forward Modbus TCP.

Source: register list of the PM5xxx (numbers from 1), as read at the first site. The gateway's registration packet is
the device id. A frame is one round: the answers to all requests, one after the other.
"""

from functools import partial

from greenpower.datatype import DataType, Field, Kind, Metered, PointRole, Tcp
from greenpower.framing.poll import Block, ModbusPoll

PHASES = ("a", "b", "c")
#: W, since the registers count Wh: a large plant; a site file can set the installed power
GREATEST_POWER = 100_000_000

amperes = partial(Field, unit="A", low=0, high=100_000)
kilowatts = partial(Field, unit="kW", low=-1_000_000, high=1_000_000)
register = partial(Field, unit="Wh", kind=Kind.COUNTER, low=0, high=10**15, greatest_rate=GREATEST_POWER)

FIELDS = (
    *(
        amperes(f"current_{phase}", title=f"current, phase {phase.upper()}", measures="current", phase=phase)
        for phase in PHASES
    ),
    amperes("current_n", title="current, neutral", measures="current", phase="n"),
    amperes("current_g", title="current, ground"),
    *(
        kilowatts(
            f"active_power_{phase}", title=f"active power, phase {phase.upper()}", measures="active_power", phase=phase
        )
        for phase in PHASES
    ),
    register("active_energy_delivered", title="active energy, delivered", measures="active_energy"),
    register("active_energy_received", title="active energy, received", measures="active_energy_returned"),
)

POLL = ModbusPoll(
    Block(
        transaction=0x0126,
        register=3000,
        layout="float32",
        fields=("current_a", "current_b", "current_c", "current_n", "current_g"),
    ),
    Block(
        transaction=0x016E,
        register=3054,
        layout="float32",
        fields=("active_power_a", "active_power_b", "active_power_c"),
    ),
    Block(
        transaction=0x01B6,
        register=3204,
        layout="int64",
        fields=("active_energy_delivered", "active_energy_received"),
    ),
)

DATATYPE = DataType(
    name="solar",
    title="Solar meters",
    endpoint="solar-data",
    collection="solar_data",
    match=(Tcp(registration="GWCCCL####", dialogue=POLL.dialogue),),
    fields=FIELDS,
    parse=POLL,
    stale_after=150,
    open=False,
    metered=(Metered(fields=("active_energy_delivered",), role=PointRole.SOLAR),),
)
