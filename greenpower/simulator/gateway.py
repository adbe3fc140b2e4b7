"""Simulated TCP gateways: dial in, call themselves by their registration packet, pass Modbus requests to a meter.

What belongs here: which gateways there are, what they say and answer, sans-IO. What does not: what goes wrong
(`delivery`), sockets (`dial`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from greenpower.datatype import DataType
from greenpower.framing.poll import ModbusPoll
from greenpower.simulator.device import CannotSimulate, device_name, local_seconds
from greenpower.simulator.value import Measured

REQUEST_SIZE = 12
ILLEGAL_ADDRESS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedGateway:
    """A gateway of one data type, and the meter behind it. number counts the gateways of its type from 0."""

    datatype: DataType
    poll: ModbusPoll
    device_id: str
    number: int
    measured: Measured
    zone: tzinfo

    @property
    def heartbeat(self) -> bytes:
        """The registration packet, which is also the heartbeat."""
        return self.device_id.encode("ascii")

    def answer(self, request: bytes, at: datetime) -> bytes:
        """The meter's answer to a request (12 bytes) at a time (aware); an exception where it has no such registers."""
        second, east = local_seconds(at, self.zone)
        try:
            return self.poll.answer(request, self.measured.at(second, east))
        except KeyError:
            return exception(request, ILLEGAL_ADDRESS)

    def is_last(self, request: bytes) -> bool:
        """Whether the answer to this request ends a round."""
        return request == self.poll.requests[-1].encoded


def make_gateways(datatype: DataType, count: int, seed: int, zone: tzinfo) -> list[SimulatedGateway]:
    """`count` gateways of a data type. Raises CannotSimulate."""
    if not datatype.gateways:
        raise CannotSimulate(f"{datatype.name}: it claims no TCP gateway")
    if not isinstance(datatype.parse, ModbusPoll):
        raise CannotSimulate(f"{datatype.name}: its gateways do not speak Modbus as `ModbusPoll` declares it")
    poll, pattern = datatype.parse, datatype.gateways[0].registration
    # A site's gateways count from 1: the simulated ones stay out of their way, as long as they fit above.
    space = 10 ** pattern.count("#")
    above = 9 * space // 10
    first = above if count < space - above else 0
    gateways = []
    for number in range(count):
        name = device_name(pattern, seed, number, first)
        measured = Measured(datatype.fields, f"{seed}/{name}", about=datatype.title)
        gateways.append(
            SimulatedGateway(datatype=datatype, poll=poll, device_id=name, number=number, measured=measured, zone=zone)
        )
    return gateways


def exception(request: bytes, code: int) -> bytes:
    """A Modbus exception in answer to a request."""
    return request[:4] + b"\0\x03" + request[6:7] + bytes([request[7] | 0x80, code])


@dataclass(slots=True)
class Requests:
    """Cuts a stream into requests."""

    buffer: bytes = b""

    def receive(self, data: bytes) -> list[bytes]:
        """The requests that these bytes complete."""
        self.buffer += data
        found = []
        while len(self.buffer) >= REQUEST_SIZE:
            found.append(self.buffer[:REQUEST_SIZE])
            self.buffer = self.buffer[REQUEST_SIZE:]
        return found
