"""All simulated devices of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from greenpower.datatype import DataType
from greenpower.datatype.value import ValueParser
from greenpower.simulator.device import CannotSimulate, SimulatedDevice, make_devices
from greenpower.simulator.gateway import SimulatedGateway, make_gateways
from greenpower.simulator.single_values import make_value_devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Devices that publish, and gateways that dial in."""

    devices: tuple[SimulatedDevice, ...] = ()
    gateways: tuple[SimulatedGateway, ...] = ()

    def __len__(self) -> int:
        return len(self.devices) + len(self.gateways)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of their data types."""
        datatypes = [device.datatype for device in self.devices] + [gateway.datatype for gateway in self.gateways]
        return tuple(dict.fromkeys(datatype.name for datatype in datatypes))


def make_fleet(datatypes: Iterable[DataType], count: int, seed: int, zone: tzinfo) -> Fleet:
    """`count` devices of each type (one where the topic gives the id). Raises CannotSimulate."""
    devices: list[SimulatedDevice] = []
    gateways: list[SimulatedGateway] = []
    for datatype in datatypes:
        if datatype.gateways:
            gateways += make_gateways(datatype, count, seed, zone)
        elif datatype.wire is None and isinstance(datatype.parse, ValueParser):
            devices += make_value_devices(datatype, count, seed, zone)
        else:
            devices += make_devices(datatype, count, seed, zone)
    return Fleet(devices=tuple(devices), gateways=tuple(gateways))


def can_simulate(datatype: DataType, zone: tzinfo) -> str:
    """Why no device can be made from a type; empty where one can."""
    try:
        make_fleet([datatype], 1, 0, zone)
    except CannotSimulate as error:
        return str(error)
    return ""
