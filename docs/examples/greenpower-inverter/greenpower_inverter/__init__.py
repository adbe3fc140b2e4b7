"""Inverters over Modbus: two units behind one gateway that connects over TCP. Each unit is a device of its own.

Source: the vendor's register list (numbers from 1).
"""

from functools import partial

from greenpower.datatype import DataType, Field, Kind, Tcp
from greenpower.framing.poll import Block, ModbusPoll

FIELDS = (
    Field("power", unit="kW", low=-10, high=150, title="active power, total"),
    Field("frequency", unit="Hz", low=40, high=70, title="frequency"),
    Field("temp", unit="°C", low=-40, high=120, title="heat sink temperature"),
    Field("energy", unit="kWh", kind=Kind.COUNTER, low=0, high=4_294_967, greatest_rate=150, title="active energy"),
    Field("status", unit="1", kind=Kind.STATE, low=0, high=999, title="307 running, 381 off, 455 warning, 35 fault"),
)


def blocks(unit: int) -> tuple[Block, ...]:
    """The requests for one inverter."""
    block = partial(Block, unit=unit, suffix=f"-{unit}")
    return (
        block(register=30201, layout="uint32", fields=("status",)),
        block(register=30775, layout="int32", divisor=1000, fields=("power",)),
        block(register=30803, layout="uint32", divisor=100, fields=("frequency",)),
        block(register=30953, layout="int32", divisor=10, fields=("temp",)),
        block(register=30529, layout="uint32", divisor=1000, fields=("energy",)),
    )


POLL = ModbusPoll(*blocks(1), *blocks(2))

DATATYPE = DataType(
    name="inverter",
    title="PV inverter",
    endpoint="inverter-data",
    collection="inverter_data",
    match=(Tcp(registration="INVGW####", dialogue=POLL.dialogue),),
    fields=FIELDS,
    parse=POLL,
    stale_after=150,
    open=False,
)
